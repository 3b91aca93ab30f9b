"""Choosing among the arms of a flow by what they brought: with shares that are computed, published and logged.

River's own bandits choose and do not say how probable the choice was, count any reward as a full one, and know neither
late answers nor guard rails; so what is River's here is the model behind contexts (see `contexts`).
"""

"""How bandits do on logs of real experiments: what learning costs, and how well another policy is judged from a log."""

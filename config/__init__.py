"""Knobs: what differs between two deployments, as one frozen `Settings` with all faults reported at once."""

from config.faults import ConfigError, Fault
from config.load import load
from config.settings import Settings
from config.show import show

__all__ = ["ConfigError", "Fault", "Settings", "load", "show"]

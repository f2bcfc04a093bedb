"""One YAML file of strategies decides where every prompt goes."""

__version__ = "0.1.0"

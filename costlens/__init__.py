"""CostLens: what did AI cost us, and what did it ship?"""

__version__ = "0.1.0"

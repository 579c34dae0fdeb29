"""How far back does a model's gradient reach, and what does that cost in accuracy?"""

from importlib.metadata import version

__version__ = version("gradreach")

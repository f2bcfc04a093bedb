"""The steps of a request, one verb a file; `pipeline` puts them in order."""

from llamafarm.stages.fall_back import FallBack
from llamafarm.stages.observe import Observe
from llamafarm.stages.plan import Plan
from llamafarm.stages.queue import Queue
from llamafarm.stages.reserve import Reserve
from llamafarm.stages.retry import Retry
from llamafarm.stages.send import Send
from llamafarm.stages.watch import Watch

__all__ = ["FallBack", "Observe", "Plan", "Queue", "Reserve", "Retry", "Send", "Watch"]

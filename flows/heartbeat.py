"""A run whose machine lost its power tells nobody: its heart is heard no more, and that ends it as crashed.

watch_hearts()            (for the server that PREFECT_API_URL names; `dopsd up` does it)

Runs of our deployments say every 30 seconds that they live, as prefect.yaml has it.
"""

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Posture

from flows.automation import keep, trigger
from flows.errand import PASSING

AUTOMATION = "dopsd: end runs whose heart has stopped"
_BEAT = "prefect.flow-run.heartbeat"
_ENDS = ("Completed", "Failed", "TimedOut", "Crashed", "Cancelled", "Refused", "Deferred", "Joined", PASSING)
"""How a run may end, by the names that we give it, too: an event is called after the name."""
_SILENT_S = 150.0


def watch_hearts() -> None:
    """Have the server end what is silent for 150 seconds, unless it was told to before."""
    heard = {_BEAT, *(f"prefect.flow-run.{name}" for name in _ENDS)}
    silence = trigger(heard, after={_BEAT}, posture=Posture.Proactive, seconds=_SILENT_S)
    crash = ChangeFlowRunState(state=StateType.CRASHED, message="its heart was heard no more")
    keep(AUTOMATION, __doc__, silence, [crash])

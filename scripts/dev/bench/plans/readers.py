"""The reading paths that are meant to be cheap however much is stored."""

import httpx

from scripts.dev.bench.plans.batch import Cast
from scripts.dev.bench.plans.recorder import Recorder

_FOUND = (200, 404)


async def read_everything(
    http: httpx.AsyncClient, recorder: Recorder, cast: Cast, batch_id: str, waiting_lead: str
) -> None:
    """Ask for one of each."""
    for name, path in _paths(cast, batch_id, waiting_lead).items():
        async with recorder.on(name):
            answer = await http.get(path)
        if answer.status_code not in _FOUND:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")


def _paths(cast: Cast, batch_id: str, waiting_lead: str) -> dict[str, str]:
    world = cast.world
    partner, product = world.partner(0), world.product(0, 0)
    return {
        "report": f"/billing/reports?partner={partner}&period=2024-03",
        "reports of a customer": f"/billing/reports?customer={world.customer(cast.first)}",
        "batch": f"/leads/batches/{batch_id}",
        "batches": "/leads/batches",
        "lead": f"/leads/{cast.name}-past-{cast.first}-0",
        "waiting lead": f"/leads/{waiting_lead}",
        "unknown lead": f"/leads/{cast.name}-unheard-of",
        "leads": "/leads",
        "leads of a customer": f"/leads?customer={world.customer(cast.first)}",
        "leads of a partner": f"/leads?partner={partner}",
        "leads of a product": f"/leads?product={product}",
        "leads of a new product": f"/leads?product={cast.missing_product}",
        "leads of a rare type": "/leads?lead_type=Unheard-of",
        "leads with a rare outcome": "/leads?outcome=returned",
        "leads of a day": "/leads?start_date=2024-03-01&end_date=2024-03-02",
        "metrics": "/metrics",
        "ready": "/ready",
    }

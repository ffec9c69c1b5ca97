"""The control's API: validate with pydantic, send one task per lead."""

from fastapi import FastAPI

from scripts.dev.bench.bare import LeadIn
from scripts.dev.bench.naive.tasks import bill_lead

app = FastAPI()


@app.post("/leads", status_code=202)
def post_leads(content: LeadIn | list[LeadIn]) -> dict[str, int]:
    """Accept leads; what Redis loses is lost."""
    leads = content if isinstance(content, list) else [content]
    for lead in leads:
        bill_lead.delay(lead.model_dump(mode="json"))
    return {"accepted": len(leads)}


@app.get("/health")
def live() -> dict[str, str]:
    """Whether it is up."""
    return {"status": "ok"}

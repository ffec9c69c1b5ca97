import httpx, time
from tests.collector import collecting
from tests.stack import running_stack
from datetime import datetime

def test_try(database_url, redis_url, tmp_path):
    with collecting() as c:
        with running_stack(database_url, redis_url, tmp_path/"home", LOG_LEVEL="INFO", **c.env) as stack:
            http = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.key}"}, trust_env=False)
            http.post("/api/partners", json={"external_id":"acme","name":"Acme","currency":"EUR"}).raise_for_status()
            http.post("/api/products", json={"external_id":"crm","partner":"acme","name":"CRM"}).raise_for_status()
            http.post("/api/customers", json={"external_id":"ann","name":"Ann","email":"ann@example.com"}).raise_for_status()
            r = http.post("/leads", json={"lead_id":"l1","customer_id":"ann","product_id":"crm","lead_type":"W","actions":[{"action_type":"A","engagement_level":"High","timestamp":"2024-04-01T10:00:00Z"}]}, headers={"X-Request-ID":"hello"})
            print(r.status_code, r.text)
            time.sleep(2)
            http.get("/leads/l1"); http.get("/leads?customer=ann"); http.get("/leads/nope"); http.get("/nowhere")
            time.sleep(1); http.close()
        t = [s.trace for s in c.named("POST /leads")]
        for s in c.spans:
            if s.trace in t: print(s.service, s.name, s.id, "<", s.parent, {k:v for k,v in s.attributes.items() if k!="db.query.text"}, s.links)
        print({(s.service,s.name) for s in c.spans if not s.parent})
        print(len(c.spans))
        for f in ("api","worker","beat"):
            print(f, (tmp_path/"home"/f"{f}.log").read_text()[-1500:])

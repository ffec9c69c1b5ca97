import json
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path

from scripts.client import Client
from scripts.samples.seed import LEAD_TYPES, Plan, make_leads, make_masters
from tests.stack import Stack

ROOT = Path(__file__).parents[3]


def test_the_same_seed_gives_the_same_leads_byte_for_byte() -> None:
    plan = Plan(seed=42, partners=2, customers=10)
    leads = list(make_leads(plan, 1000))
    assert list(make_leads(plan, 1000)) == leads
    assert list(make_leads(plan, 10)) == leads[:10]
    assert list(make_leads(Plan(seed=43, partners=2, customers=10), 1000)) != leads
    assert make_masters(plan) == make_masters(plan)


def test_the_same_seed_gives_the_same_leads_in_another_process() -> None:
    program = (
        "from hashlib import sha256; from scripts.samples.seed import Plan, make_leads;"
        "print(sha256(b''.join(make_leads(Plan(), 5000))).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == sha256(b"".join(make_leads(Plan(), 5000))).hexdigest()


def test_plans_that_differ_share_no_ids() -> None:
    plans = [Plan(), Plan(seed=1), Plan(partners=4), Plan(customers=3), Plan(months=2), Plan(first_month="2023-01")]
    ids = [json.loads(next(make_leads(plan, 1)))["lead_id"] for plan in plans]
    assert len(set(ids)) == len(plans)


def test_the_leads_are_of_every_kind() -> None:
    leads = [json.loads(line) for line in make_leads(Plan(), 20_000)]
    assert {lead["lead_type"] for lead in leads} == set(LEAD_TYPES)
    assert len({lead["lead_id"] for lead in leads}) == 20_000
    assert 0.02 < sum("source" in lead for lead in leads) / 20_000 < 0.04
    busiest = Counter(lead["customer_id"] for lead in leads).most_common(200)
    assert sum(count for _, count in busiest) > 0.3 * 20_000  # a tenth of the customers has a third of the leads
    keys = Counter(
        (lead["customer_id"], lead["product_id"], action["action_type"], action["engagement_level"])
        for lead in leads
        for action in lead["actions"]
    )
    assert 0.1 < 1 - len(keys) / keys.total() < 0.4  # what the rule of duplicates will find
    created = [datetime.fromisoformat(lead["created_at"]) for lead in leads]
    assert (min(created).strftime("%Y-%m"), max(created).strftime("%Y-%m")) == ("2024-04", "2024-06")


def test_every_product_belongs_to_a_partner_and_every_email_is_one_customers() -> None:
    masters = make_masters(Plan())
    assert {product["partner"] for product in masters.products} == {each["external_id"] for each in masters.partners}
    assert len({customer["email"] for customer in masters.customers}) == 2000
    ids = {product["external_id"] for product in masters.products}
    assert {json.loads(line)["product_id"] for line in make_leads(Plan(), 5000)} <= ids


def test_twenty_thousand_leads_a_second_are_drawn() -> None:
    leads = make_leads(Plan(customers=100), 1_000_000)
    next(leads)
    started = time.process_time()
    assert sum(1 for _ in islice(leads, 20_000)) == 20_000
    assert time.process_time() - started < 1


def test_seed_db_from_another_folder_fills_the_engine(stack: Stack, tmp_path: Path) -> None:
    words = ["--leads", "300", "--customers", "20", "--partners", "2", "--seed", "5", "--json"]
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "seed_db.py", *words],
            cwd=tmp_path,
            env=stack.env,
            capture_output=True,
            text=True,
            check=True,
        )
        shown = json.loads(done.stdout)
        assert (shown["accepted"], shown["rejected"], shown["waiting"]) == (300, 0, 0)
        assert shown["leads"]["new" if number == 1 else "replayed"] == 300
        assert shown["problems"] == []
    with Client(stack.url, stack.key) as client:
        partners = {json.loads(line)["product_id"].rpartition("-")[0] for line in make_leads(Plan(5, 2, 20), 300)}
        reports = [report for each in partners for report in client.pages("/billing/reports", partner=each)]
    assert sum(report["totals"]["leads"] for report in reports) >= 300  # a lead over midnight counts in two months
    assert sum(report["totals"]["actions"] for report in reports) == sum(
        len(json.loads(line)["actions"]) for line in make_leads(Plan(5, 2, 20), 300)
    )

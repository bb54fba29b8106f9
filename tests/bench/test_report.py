"""The benchmark's arithmetic and tables on made-up samples."""

import json
import os

import pytest

from tests.bench.__main__ import parse
from tests.bench.cases import CASES, Case, Sample, Transport
from tests.bench.measure import Clocks
from tests.bench.report import Table, as_json, tables, target_table
from tests.bench.results import Figure, Results


def sample(requests: float = 0, **cpu_us: float) -> Sample:
    return Sample(cpu_us=cpu_us, http_requests=requests, rate=1000)


@pytest.fixture
def results() -> Results:
    tcp, own, mine = (
        Case("prosody", Transport.TCP),
        Case("prosody", Transport.BOSH),
        Case("boshgate", Transport.BOSH),
    )
    return Results(
        samples={
            tcp: [sample(prosody=100), sample(prosody=120), sample(prosody=90)],
            own: [sample(1, prosody=350), sample(1, prosody=420), sample(1, prosody=330)],
            mine: [
                sample(2, boshgate=100, prosody=110),
                sample(2, boshgate=120, prosody=130),
                sample(2, boshgate=90, prosody=100),
            ],
        },
        idle={own: [31_000.0], mine: [19_000.0, 21_000.0, 20_001.0]},
    )


def test_a_figure_is_the_median_with_its_spread() -> None:
    assert Figure.of([3, 1, 2]) == Figure(2, 1, 3)
    assert Figure.of([3, 1, 2]).show(1) == "2.0 (1.0-3.0)"
    assert Figure.of([4]).show() == "4"


def test_a_figure_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        Figure.of([])


def test_added_is_the_own_end_point_less_plain_tcp(results: Results) -> None:
    assert results.added(Transport.BOSH) == Figure(250, 240, 300)


def test_ratio_is_made_of_medians_and_its_spread_of_rounds(results: Results) -> None:
    assert results.ratio(Transport.BOSH) == Figure(100 / 250, 90 / 240, 100 / 250)


def test_what_was_not_measured_has_no_ratio(results: Results) -> None:
    assert results.ratio(Transport.WEBSOCKET) is None
    assert Results({}).ratio(Transport.BOSH) is None


def test_an_end_point_that_adds_nothing_has_no_ratio() -> None:
    same = [sample(prosody=100)]
    cases = {Case("prosody", Transport.TCP): same, Case("prosody", Transport.BOSH): same}
    assert (
        Results({**cases, Case("boshgate", Transport.BOSH): [sample(boshgate=9)]}).ratio(Transport.BOSH)
        is None
    )


def test_targets_hold_up_to_their_limit(results: Results) -> None:
    verdicts = {target.name: target.holds for target in results.targets() if target.value}
    assert verdicts == {"CPU per BOSH round trip": True, "memory per idle BOSH session": False}


def test_the_target_table_says_what_was_not_measured(results: Results) -> None:
    assert [row[-1] for row in target_table(results).rows] == [
        "holds",
        "not measured",
        "not measured",
        "MISSED",
        "not measured",
    ]


def test_tables_are_aligned_text_and_markdown() -> None:
    table = Table("Title", ["name", "us"], [["a", "1"], ["longer", "22"]])
    assert table.text() == "Title\n\nname    us\n----------\na        1\nlonger  22"
    assert table.markdown() == "Title:\n\n| name | us |\n| --- | --: |\n| a | 1 |\n| longer | 22 |"


def test_every_table_shows_sums_and_requests(results: Results) -> None:
    cpu, *others = tables(results)
    assert cpu.rows[2][1:5] == ["100 (90-120)", "110 (100-130)", "210 (190-250)", "2.00"]
    assert len(others) == 3


def test_others_are_the_median_part_of_the_machine_in_other_hands() -> None:
    runs = [Sample({"prosody": 1}, 0, 1, others) for others in (0.5, 0.02, 0.04)]
    assert Results({Case("prosody", Transport.TCP): runs}).others == 0.04
    assert Results({}).others == 0


def test_the_cpu_of_a_server_that_idles_is_next_to_nothing() -> None:
    clocks = Clocks({"self": os.getpid()})
    cpu, elapsed, others = clocks.read()
    assert 0 <= cpu["self"] < 1e9
    assert elapsed >= 0
    assert others >= 0


def test_json_holds_samples_and_verdicts(results: Results) -> None:
    data = json.loads(json.dumps(as_json(results, {"date": "2026-11-23"})))
    assert data["about"] == {"date": "2026-11-23"}
    assert data["samples"]["prosody, plain TCP"][1]["cpu_us"] == {"prosody": 120}
    assert data["targets"][0]["value"] == 0.4


def test_cases_are_chosen_by_part_of_their_name() -> None:
    assert parse([]).cases == list(CASES)
    assert {case.server for case in parse(["--case", "boshgate"]).cases} == {"boshgate"}


def test_load_without_sessions_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--sessions", "0"])
    assert "at least 1" in capsys.readouterr().err

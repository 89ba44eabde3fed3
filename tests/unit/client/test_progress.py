from dxlfiletransferclient.progress import (
    RATE_SPAN,
    REPORT_INTERVAL,
    Phase,
    Progress,
    ProgressMeter,
)


def meter_of(heard: list[Progress]) -> ProgressMeter:
    return ProgressMeter(heard.append, now=0.0)


def test_before_the_first_file_it_scans() -> None:
    assert ProgressMeter(now=0.0).snapshot() == Progress(
        phase=Phase.SCANNING,
        name="",
        file_done=0,
        file_size=None,
        done=0,
        total=None,
        durable=0,
        files_done=0,
        files_total=None,
        rate=0.0,
        remaining=None,
    )


def test_files_add_up() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    meter.expect(total=1000, files=3)
    first, second = meter.begin("a", 300), meter.begin("b", 600)
    first.update(done=100, durable=50)
    second.update(done=200)
    meter.tick(2.0)

    assert heard == [
        Progress(
            phase=Phase.SENDING,
            name="a",
            file_done=100,
            file_size=300,
            done=300,
            total=1000,
            durable=50,
            files_done=0,
            files_total=3,
            rate=150.0,
            remaining=700 / 150,
        )
    ]


def test_the_file_shown_is_the_one_that_has_been_under_way_longest() -> None:
    meter = ProgressMeter(now=0.0)
    first, second = meter.begin("a", 1), meter.begin("b", 1)
    second.update(done=1)
    assert meter.snapshot().name == "a"
    first.end(complete=True)
    assert (meter.snapshot().name, meter.snapshot().phase) == ("b", Phase.SENDING)
    second.update(phase=Phase.VERIFYING)
    assert meter.snapshot().phase == Phase.VERIFYING
    second.end(complete=True)
    assert (meter.snapshot().name, meter.snapshot().phase) == ("b", Phase.STORED)


def test_reports_are_not_too_many_and_the_last_one_always_comes() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    file = meter.begin("a", 1000)
    for step in range(1000):
        file.update(done=step + 1)
        meter.tick(step / 1000)
    before = len(heard)
    assert before <= 1 / REPORT_INTERVAL
    meter.close(0.9995)
    assert len(heard) == before + 1
    assert heard[-1].done == 1000


def test_what_was_there_already_counts_for_no_speed() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    meter.expect(total=1000, files=1)
    file = meter.begin("a", 1000)
    file.resume(500, 400)
    file.update(done=600)
    meter.tick(1.0)
    assert (heard[-1].done, heard[-1].durable) == (600, 400)
    assert (heard[-1].rate, heard[-1].remaining) == (100.0, 4.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    file = meter.begin("a", None)
    for second in range(1, 101):
        file.update(done=second * 10 if second <= 80 else 800 + (second - 80) * 1000)
        meter.tick(float(second))
    assert heard[-1].rate == 1000.0
    assert heard[79].rate == 10.0
    assert RATE_SPAN < 20


def test_bytes_that_were_lost_are_not_done_and_count_again_when_they_travel_again() -> None:
    meter = ProgressMeter(now=0.0)
    file = meter.begin("a", 100)
    file.update(done=80, durable=40)
    file.update(done=40, durable=40)
    assert (meter.snapshot().done, meter.snapshot().durable) == (40, 40)
    file.update(done=100)
    assert meter.snapshot().done == 100


def test_a_file_that_is_complete_counts_whole() -> None:
    meter = ProgressMeter(now=0.0)
    file = meter.begin("a", 100)
    file.update(done=70)
    file.end(complete=True)
    found = meter.snapshot()
    assert (found.done, found.durable, found.files_done) == (100, 100, 1)


def test_what_is_missing_of_a_file_that_failed_is_not_waited_for() -> None:
    meter = ProgressMeter(now=0.0)
    meter.expect(total=300, files=2)
    file = meter.begin("a", 100)
    file.update(done=70)
    file.end(complete=False)
    assert (meter.snapshot().done, meter.snapshot().total) == (70, 270)
    meter.whole("b", 200)
    found = meter.snapshot()
    assert (found.done, found.total, found.files_done, found.remaining) == (270, 270, 2, 0.0)


def test_small_files_in_one_go() -> None:
    meter = ProgressMeter(now=0.0)
    meter.whole("a", 10)
    meter.whole("b", 20, complete=False)
    found = meter.snapshot()
    assert (found.name, found.done, found.durable, found.files_done) == ("b", 10, 10, 2)


def test_the_last_report_has_totals_though_nobody_counted() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    meter.whole("a", 10)
    meter.close(5.0)
    assert (heard[-1].total, heard[-1].files_total, heard[-1].remaining) == (10, 1, 0.0)


def test_the_last_report_is_of_everything_though_files_shrank_after_they_were_counted() -> None:
    heard: list[Progress] = []
    meter = meter_of(heard)
    meter.expect(total=100, files=3)
    meter.whole("a", 10)
    meter.whole("b", 20, complete=False)
    meter.close(5.0)
    assert (heard[-1].done, heard[-1].total, heard[-1].remaining) == (10, 10, 0.0)
    assert (heard[-1].files_done, heard[-1].files_total) == (2, 2)


def test_without_a_callback_nothing_happens() -> None:
    meter = ProgressMeter(now=0.0)
    meter.begin("a", 10).update(done=5)
    meter.tick(10.0)
    meter.close(11.0)
    assert meter.snapshot().done == 5

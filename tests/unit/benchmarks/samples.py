"""Rows for tests of the benchmark's harness."""

from benchmarks.samples import Row, Sample


def sample(
    rate: float, *, files_rate: float = 0.0, cpu: float = 1.0, sent_again: float = 0.0
) -> Sample:
    """A sample whose three processes cost the same."""
    return Sample(
        rate=rate,
        files_rate=files_rate,
        sender_cpu=cpu,
        broker_cpu=cpu,
        service_cpu=cpu,
        sender_peak=2**20,
        broker_peak=2**21,
        service_peak=2**22,
        sent_again=sent_again,
    )


def row(who: str, rate: float, *, what: str = "a file", files_rate: float = 0.0) -> Row:
    """A row of one sample."""
    return Row.of(what, who, "loopback", [sample(rate, files_rate=files_rate)])

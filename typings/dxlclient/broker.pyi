class Broker:
    unique_id: str
    host_name: str
    ip_address: str | None
    port: int
    def __init__(
        self,
        host_name: str,
        unique_id: str | None = None,
        ip_address: str | None = None,
        port: int = 8883,
    ) -> None: ...
    @staticmethod
    def parse(broker_url: str) -> Broker: ...
    def to_string(self) -> str: ...

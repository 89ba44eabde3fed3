"""The bus itself: MQTT and DXL message codecs, the embedded broker, certificates, connections."""

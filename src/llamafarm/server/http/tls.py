"""The certificate a server shows, and how it is exchanged for a new one while the server runs."""

from __future__ import annotations

import ssl
from pathlib import Path

from llamafarm.errors import ConfigError

__all__ = ["Certificate"]


class Certificate:
    """A certificate chain and its key in two PEM files. Raises `ConfigError` where they do not fit."""

    def __init__(self, certificate: Path | str, key: Path | str) -> None:
        self._certificate = Path(certificate)
        self._key = Path(key)
        self._current = self._load()
        self.context = self._load()
        """What the listener is given; each handshake is switched to the pair that was read last."""
        self.context.sni_callback = self._switch

    def reload(self) -> None:
        """Read both files again, for handshakes from now on.

        Raises `ConfigError`, and keeps the old pair, where they do not fit.
        """
        self._current = self._load()

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        for path in (self._certificate, self._key):
            try:
                path.open("rb").close()
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read for TLS: {error.strerror}") from None
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._no_password)
        except ssl.SSLError as error:
            reason = error.reason or "not PEM"
            if reason == "KEY_VALUES_MISMATCH":
                message = f"{self._key}: is not the key of {self._certificate}; set server.tls_key to the one that is"
            else:
                message = f"{self._certificate}, {self._key}: no usable certificate and key in PEM form ({reason})"
            raise ConfigError(message) from None
        return context

    def _no_password(self) -> str:
        raise ConfigError(f"{self._key}: the key is encrypted; give server.tls_key one without a password")

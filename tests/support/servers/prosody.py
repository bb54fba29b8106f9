"""Prosody as a child process; accounts are written straight into its file storage."""

from tests.support.process import Child
from tests.support.requirements import find_program
from tests.support.servers.base import (
    CHAT_DOMAIN,
    COMPONENT_SECRET,
    DOMAIN,
    GUESTS,
    PASSWORD,
    ROOMS,
    TLS_DOMAIN,
    TRANSPORT,
    UPLOAD_LIMIT,
    UPLOADS,
    USERS,
    XmppServer,
)

_GLOBAL = """
run_as_root = true -- in a container; the sockets are all on loopback
daemonize = false
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
certificates = "{directory}"
log = {{ {{ levels = {{ min = "{log_level}" }}; to = "file"; filename = "{directory}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{
    "blocklist"; "bosh"; "carbons"; "disco"; "ping"; "posix"; "roster"; "saslauth"; "smacks"; "tls";
    "websocket";
}}
modules_disabled = {{ "s2s"; "offline" }}
authentication = "internal_plain"
allow_registration = false
c2s_ports = {{ {plain_port} }}
c2s_direct_tls_ports = {{ {direct_tls_port} }}
component_ports = {{ {component_port} }}
component_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {http_port} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ }}
http_default_host = "{domain}"
http_paths = {{ bosh = "/http-bind"; websocket = "/xmpp-websocket" }}
consider_bosh_secure = true
consider_websocket_secure = true
smacks_hibernation_time = 60
c2s_direct_tls_ssl = {{ certificate = "{chain}"; key = "{key}" }}
"""

_HOST = """
VirtualHost "{domain}"
    c2s_require_encryption = {required}
    allow_unencrypted_plain_auth = {plain_allowed}
    ssl = {{ certificate = "{chain}"; key = "{key}" }}
    c2s_direct_tls_ssl = {{ certificate = "{chain}"; key = "{key}" }}
"""

_CHAT = """
    modules_enabled = {{ "mam"; "offline"; "register_ibr" }}
    allow_registration = true
    additional_registration_fields = {{ "email" }}
Component "{rooms}" "muc"
Component "{uploads}" "http_file_share"
    http_host = "127.0.0.1"
    http_external_url = "http://127.0.0.1:{http_port}/"
    http_file_share_size_limit = {upload_limit}
Component "{transport}"
    component_secret = "{component_secret}"
"""


class Prosody(XmppServer):
    """Prosody 0.12; one c2s port serves DOMAIN and CHAT_DOMAIN without TLS and the others with STARTTLS."""

    name = "prosody"
    log_level = "info"

    def _launch(self) -> Child:
        program = find_program("prosody", package="prosody")
        for domain in self.certificates:
            accounts = self.directory / "data" / domain.replace(".", "%2e") / "accounts"
            accounts.mkdir(parents=True, exist_ok=True)
            for user in USERS + GUESTS:
                (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        configuration = self.directory / "prosody.cfg.lua"
        configuration.write_text(self._configuration())
        return Child(
            "prosody",
            [program, "-F", "--config", str(configuration)],
            directory=self.directory,
            env={"LANG": "C.UTF-8"},
        )

    def _configuration(self) -> str:
        default = self.certificates[TLS_DOMAIN]
        text = _GLOBAL.format(
            directory=self.directory,
            log_level=self.log_level,
            domain=DOMAIN,
            plain_port=self.plain_port,
            direct_tls_port=self.direct_tls_port,
            http_port=self.http_port,
            component_port=self.component_port,
            chain=default.chain,
            key=default.key,
        )
        for domain, files in self.certificates.items():
            text += _HOST.format(
                domain=domain,
                required=str(domain not in (DOMAIN, CHAT_DOMAIN)).lower(),
                plain_allowed=str(domain in (DOMAIN, CHAT_DOMAIN)).lower(),
                chain=files.chain,
                key=files.key,
            )
            if domain == CHAT_DOMAIN:
                text += _CHAT.format(
                    rooms=ROOMS,
                    uploads=UPLOADS,
                    http_port=self.http_port,
                    upload_limit=UPLOAD_LIMIT,
                    transport=TRANSPORT,
                    component_secret=COMPONENT_SECRET,
                )
        return text

    def log(self) -> str:
        file = self.directory / "prosody.log"
        return super().log() + (file.read_text("utf-8", "replace") if file.exists() else "")

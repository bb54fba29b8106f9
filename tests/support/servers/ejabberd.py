"""ejabberd as a child process: the Erlang VM without distribution, so no node name, no cookie and no epmd."""

import re
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.requirements import MissingProgramError, find_program
from tests.support.servers.base import (
    CHAT_DOMAIN,
    COMPONENT_SECRET,
    GUESTS,
    PASSWORD,
    ROOMS,
    TRANSPORT,
    UPLOAD_LIMIT,
    UPLOADS,
    USERS,
    XmppServer,
)

_CONFIGURATION = """
hosts: [{hosts}]
loglevel: info
acme: {{ auto: false }}
ca_file: "{ca_file}"
log_rotate_count: 0
auth_method: internal
auth_password_format: plain
certfiles: [{certfiles}]
access_rules: {{ c2s: {{ allow: all }} }}
listen:
  - {{ port: {plain_port}, ip: "127.0.0.1", module: ejabberd_c2s, access: c2s, starttls: false }}
  - {{ port: {starttls_port}, ip: "127.0.0.1", module: ejabberd_c2s, access: c2s, starttls_required: true }}
  - {{ port: {direct_tls_port}, ip: "127.0.0.1", module: ejabberd_c2s, access: c2s, tls: true }}
  - port: {http_port}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers:
      "/http-bind": mod_bosh
      "/upload": mod_http_upload
      "/xmpp-websocket": ejabberd_http_ws
    custom_headers: {{ "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Content-Type" }}
  - port: {component_port}
    ip: "127.0.0.1"
    module: ejabberd_service
    hosts: {{ "{transport}": {{ password: "{component_secret}" }} }}
websocket_origin: []
registration_timeout: infinity
append_host_config:
  "{chat_domain}":
    modules:
      mod_http_upload:
        host: "{uploads}"
        docroot: "{docroot}"
        put_url: "http://127.0.0.1:{http_port}/upload"
        max_size: {upload_limit}
        access: all
      mod_mam: {{ default: always }}
      mod_muc: {{ host: "{rooms}" }}
      mod_offline: {{}}
      mod_register: {{ ip_access: all }}
modules:
  mod_blocking: {{}}
  mod_bosh: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{ resend_on_timeout: false, resume_timeout: 60 }}
"""


class Ejabberd(XmppServer):
    """ejabberd 23; three c2s listeners, as whether TLS is there is a matter of the listener."""

    name = "ejabberd"

    def __init__(self, directory: Path, authority: Authority | None = None) -> None:
        super().__init__(directory, authority)
        self.starttls_port = free_port()

    def _launch(self) -> Child:
        ctl = find_program("ejabberdctl", package="ejabberd")
        libraries = re.search(r"^ERL_LIBS='?([^'\n]+)", Path(ctl).read_text(), re.MULTILINE)
        if libraries is None:
            raise MissingProgramError(f"{ctl} does not tell where ejabberd's Erlang libraries are")
        configuration = self.directory / "ejabberd.yml"
        configuration.write_text(self._configuration())
        spool = self.directory / "spool"
        spool.mkdir(exist_ok=True)
        argv = [find_program("erl", package="erlang-base"), "-noinput"]
        argv += ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]  # no busy waiting between stanzas
        argv += ["-mnesia", "dir", f'"{spool}"', "-s", "ejabberd", "-eval", self._register_users()]
        environment = {
            "EJABBERD_CONFIG_PATH": str(configuration),
            "EJABBERD_LOG_PATH": str(self.directory / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(self.directory / "erl_crash.dump"),
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_LIBS": libraries[1],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
        }
        return Child("ejabberd", argv, directory=self.directory, env=environment)

    def _register_users(self) -> str:
        """Erlang that runs once the application is up: -s and -eval are obeyed in their order."""
        users = ",".join(f'<<"{user}">>' for user in USERS + GUESTS)
        hosts = ",".join(f'<<"{domain}">>' for domain in self.certificates)
        return (
            f'[ok = ejabberd_auth:try_register(U, H, <<"{PASSWORD}">>) || U <- [{users}], H <- [{hosts}]], '
            'io:format("users registered~n").'
        )

    def _configuration(self) -> str:
        chains = []
        for domain, files in self.certificates.items():
            chain = self.directory / f"{domain}.pem"
            chain.write_bytes(files.chain.read_bytes() + files.key.read_bytes())
            chains.append(str(chain))
        return _CONFIGURATION.format(
            ca_file=self.authority.ca_file,
            hosts=", ".join(self.certificates),
            certfiles=", ".join(f'"{chain}"' for chain in chains),
            plain_port=self.plain_port,
            starttls_port=self.starttls_port,
            direct_tls_port=self.direct_tls_port,
            http_port=self.http_port,
            component_port=self.component_port,
            component_secret=COMPONENT_SECRET,
            chat_domain=CHAT_DOMAIN,
            rooms=ROOMS,
            uploads=UPLOADS,
            docroot=self.directory / "uploads",
            upload_limit=UPLOAD_LIMIT,
            transport=TRANSPORT,
        )

    def _is_ready(self) -> bool:
        return "users registered" in self.child.stdout()

"""The configuration: sources and their order, every wrong key with what is accepted."""

from pathlib import Path

import pytest

from boshgate.config import BackendAddress, Config, effective, load, to_ascii, to_unicode
from boshgate.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "boshgate.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    return caught.value.problems


def test_defaults_are_usable() -> None:
    config = load()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 5280)
    assert (config.admin.host, config.admin.port) == ("127.0.0.1", 5281)
    assert (config.bosh.path, config.websocket.path) == ("/http-bind", "/xmpp-websocket")


@pytest.mark.rule("G8", "N5")
def test_a_request_is_answered_before_the_usual_proxy_cuts_it() -> None:
    assert load().bosh.max_wait < 60
    assert load().websocket.ping_interval < 60
    assert load().limits.connect_timeout < load().bosh.max_wait


@pytest.mark.parametrize(
    ("domain", "written"),
    [
        ("example.org", "example.org"),
        ("xn--bcher-kva.example", "b\u00fccher.example"),
        ("xn--strae-oqa.example", "xn--strae-oqa.example"),  # IDNA 2008 only
        ("xn--.example", "xn--.example"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_folded_domain_is_written_with_u_labels(domain: str, written: str) -> None:
    assert to_unicode(domain) == written


def test_environment_over_file_and_flags_over_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "[server]\nport = 1\nhost = '127.0.0.2'\n[bosh]\nmax_wait = 10\n")
    monkeypatch.setenv("BOSHGATE_SERVER__PORT", "2")
    monkeypatch.setenv("BOSHGATE_BOSH__MAX_WAIT", "20")
    config = load(file, {"server": {"port": 3}})
    assert (config.server.port, config.server.host, config.bosh.max_wait) == (3, "127.0.0.2", 20)
    assert load(file).server.port == 2


def test_domains_of_flags_replace_those_of_the_same_name(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "[[domains]]\nname = 'a.example'\nbackends = ['tcp://127.0.0.1:1']\n"
        "[[domains]]\nname = 'b.example'\nbackends = ['tcp://127.0.0.1:2']\n",
    )
    config = load(file, {"domains": [{"name": "b.example", "backends": ["tcp://127.0.0.1:3"]}]})
    assert {domain.name: domain.backends[0].port for domain in config.domains} == {
        "a.example": 1,
        "b.example": 3,
    }


def test_domains_of_flags_stand_beside_other_flags() -> None:
    config = load(flags={"server": {"port": 0}, "domains": [{"name": "a", "backends": ["xmpp://h"]}]})
    assert config.domains[0].backends[0] == BackendAddress(scheme="xmpp", host="h", port=5222)


def test_the_effective_configuration_can_be_loaded_again(tmp_path: Path) -> None:
    config = load(flags={"domains": [{"name": "Bücher.example", "backends": ["xmpps://[::1]", "tcp://h:1"]}]})
    text = effective(config)
    assert 'backends = [\n    "xmpps://[::1]:5223",\n    "tcp://h:1",\n]' in text
    assert load(write(tmp_path, text)) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nprot = 1\n", "server.prot: Extra inputs are not permitted (accepted: host, port, "),
        (
            "[bosh]\ninactivity = 0\n",
            "bosh.inactivity: Input should be greater than or equal to 1 (accepted: ",
        ),
        ("[bosh]\npath = 'http-bind'\n", "bosh: path: 'http-bind' is not a path (accepted: /NAME)"),
        ("[limits]\nmax_stanza_bytes = 9999\n", "limits.max_stanza_bytes: Input should be greater than"),
        ("[limits]\nmax_body_bytes = 20000\n", "limits: max_body_bytes is 20000, less than max_stanza_bytes"),
        (
            "[limits]\nmax_body_bytes = 263167\n",
            "limits: max_body_bytes is 263167, less than max_stanza_bytes and its <body/>",
        ),
        ("[server]\npublic_url = 'chat.example'\n", "server.public_url: 'chat.example' is not an http:// or"),
        (
            "[server]\nallowed_origins = ['chat.example']\n",
            "server.allowed_origins: 'chat.example' is not an",
        ),
        (
            "[server]\ntrusted_proxies = ['10.0.0.1/8']\n",
            "server.trusted_proxies.0: 10.0.0.1/8 has host bits",
        ),
        ("[websocket]\npath = '/http-bind'\n", "configuration: bosh.path and websocket.path are the same"),
        ("domains = 1\n", "domains: "),
        ("[[domains]]\nname = 'a b'\nbackends = ['tcp://h']\n", "domains.0.name: 'a b' is not a domain name"),
        ("[[domains]]\nname = 'a'\nbackends = []\n", "domains.0.backends: Tuple should have at least 1 item"),
        (
            "[[domains]]\nname = 'a'\nbackends = ['h:1']\n",
            "domains.0.backends.0: 'h:1' is not a backend address",
        ),
        (
            "[[domains]]\nname = 'a'\nbackends = ['tcp://h:99999']\n",
            "domains.0.backends.0: 'tcp://h:99999' has no valid",
        ),
        (
            "[[domains]]\nname = 'a'\nbackends = ['tcp://h/x']\n",
            "domains.0.backends.0: 'tcp://h/x' has more than",
        ),
        ("[[domains]]\nname = 'a'\nbackends = [1]\n", "domains.0.backends.0: "),
        (
            "[[domains]]\nname = 'a'\nbackends = ['tcp://h']\nca_file = '/no/such/file'\n",
            "domains.0.ca_file: '/no/such/file' cannot be read",
        ),
        (
            "[[domains]]\nname = 'a'\nbackends = ['tcp://h']\n[[domains]]\nname = 'A'\nbackends = ['tcp://h']\n",
            "configuration: domain 'a' is listed twice",
        ),
        (
            "[server]\nformer_domains = ['A']\n[[domains]]\nname = 'a'\nbackends = ['tcp://h']\n",
            "configuration: domain 'a' is served, and in server.former_domains",
        ),
        ("[server]\nformer_domains = ['a@b']\n", "server.former_domains.0: 'a@b' is not a domain"),
        ("nonsense\n", "{file}: not TOML: "),
    ],
)
def test_a_wrong_key_is_named_with_what_is_accepted(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(line.startswith(expected.format(file=tmp_path / "boshgate.toml")) for line in found), found


def test_every_wrong_key_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "[server]\nport = 'x'\n[bosh]\nmax_hold = 99\n[nothing]\n")
    assert {line.partition(":")[0] for line in found} == {"server.port", "bosh.max_hold", "nothing"}


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing.toml")


def test_the_configuration_is_frozen() -> None:
    config = Config()
    with pytest.raises(ValueError, match="frozen"):
        config.server = config.server


@pytest.mark.parametrize(
    ("domain", "folded"),
    [
        ("EXAMPLE.org.", "example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_domains_are_folded(domain: str, folded: str) -> None:
    assert to_ascii(domain) == folded


@pytest.mark.parametrize(
    "domain", ["", ".", "a@b", "a/b", "a:22", "<a>", "a b", "ä" * 64 + ".example", "a" + "." * 1023]
)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        to_ascii(domain)


def test_lists_in_the_environment_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOSHGATE_DOMAINS", '[{"name": "a.example", "backends": ["tcp://127.0.0.1:1"]}]')
    assert load().domains[0].name == "a.example"
    monkeypatch.setenv("BOSHGATE_DOMAINS", "a.example")
    with pytest.raises(ConfigError, match=r"environment: .*domains.* \(accepted: JSON"):
        load()


@pytest.mark.parametrize(
    "value",
    [
        "ftp://example.org",
        "https://",
        "https://user:secret@example.org",
        "https://exa mple.org",
        "https://example.org\\u0007",
        "https://example.org:x",
        "https://example.org:70000",
        "https://[::1",
        "https://example.org/?query",
        "https://example.org/#fragment",
    ],
)
def test_a_public_url_is_one_that_can_be_told_to_everybody(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f'[server]\npublic_url = "{value}"\n')
    assert problem.startswith("server.public_url: ")
    assert "secret" not in problem


@pytest.mark.parametrize(
    "value", ["/missing/host-meta", "ftp://example.org/", "https://u:secret@h/", "http://"]
)
def test_a_host_meta_upstream_is_a_url_or_a_file(tmp_path: Path, value: str) -> None:
    domain = f"[[domains]]\nname = 'a.example'\nbackends = ['tcp://h:1']\nhost_meta_upstream = '{value}'\n"
    (problem,) = problems(tmp_path, domain)
    assert problem.startswith("domains.0.host_meta_upstream: ")
    assert "secret" not in problem

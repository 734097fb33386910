"""Where webhooks may go: every spelling of an address inside is refused, and what is checked is what is connected to."""

import socket
import time
from ipaddress import ip_address, ip_network

import pytest

from gateway.webhooks.address import AddressError, check, is_allowed, without_query

INSIDE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.1.1",
    "198.17.0.1",
    "223.255.255.254",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:4860::8888",
]
SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "00000000000",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "3232235521",
    "0xc0a80001",
    "0300.0250.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "169.254.169.254",
    "0251.0376.0251.0376",
    "169.254.43518",
    "10.1",
    "012.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("text", INSIDE)
def test_what_is_not_public_is_refused(text):
    assert not is_allowed(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_allowed(text):
    assert is_allowed(ip_address(text))


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_spelling_of_an_address_inside_is_refused(scheme, host):
    with pytest.raises(AddressError, match="GATEWAY_WEBHOOK_NETWORKS"):
        check(f"{scheme}://{host}/latest/meta-data")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "such as https://"),
        ("file:///etc/passwd", "such as https://"),
        ("gopher://127.0.0.1:6379/_", "such as https://"),
        ("example.com/hook", "such as https://"),
        ("//example.com/hook", "such as https://"),
        ("http:///hook", "such as https://"),
        ("http://:80/hook", "such as https://"),
        ("http://1.1.1.1:0/", "such as https://"),
        ("http://1.1.1.1:99999/", "such as https://"),
        ("http://1.1.1.1:eighty/", "such as https://"),
        ("http://[::1/", "such as https://"),
        ("http://[1.1.1.1]/", "such as https://"),
        ("http://user:s3cret@1.1.1.1/", "user or password"),
        ("http://s3cret@1.1.1.1/", "user or password"),
        ("http://1.1.1.1@127.0.0.1/", "user or password"),
        ("http://1.1.1.1/#s3cret", "fragment"),
        ("http://1.1.1.1#@127.0.0.1/", "fragment"),
        ("http://1.1.1.1/a b", "printable ASCII"),
        ("http://1.1.1.1/\nhost: s3cret", "printable ASCII"),
        ("http://1.1.1.1\t/", "printable ASCII"),
        ("http://1.1.1.1\\@127.0.0.1/", "backslashes"),
        ("http://①②⑦.⓪.⓪.①/", "printable ASCII"),
        ("http://bücher.example/", "xn--"),
        ("http://1.1.1.1/" + "s3cret" * 100, "500 characters"),
        ("http://does-not-exist.invalid/s3cret", "was not found"),
        ("http://" + "a" * 70 + ".example/", "was not found"),
        ("http://a..b/", "was not found"),
        ("http://%31%32%37.0.0.1/", "was not found"),
    ],
)
def test_what_cannot_be_says_why_and_quotes_nothing(url, says, no_network):
    with pytest.raises(AddressError, match=says) as caught:
        check(url)
    assert "s3cret" not in str(caught.value)


@pytest.fixture
def no_network(monkeypatch):
    """Names are not asked for outside."""
    real = socket.getaddrinfo

    def only_numbers(host, port, **options):
        return real(host, port, flags=socket.AI_NUMERICHOST, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_numbers)


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "target"),
    [
        ("https://1.1.1.1/hook?token=a%20b", True, "1.1.1.1", 443, "/hook?token=a%20b"),
        ("http://1.1.1.1", False, "1.1.1.1", 80, "/"),
        ("HTTP://1.1.1.1:8080?x", False, "1.1.1.1", 8080, "/?x"),
        ("http://[2606:4700::1111]:81/", False, "2606:4700::1111", 81, "/"),
    ],
)
def test_a_public_one_is_taken_apart(url, secure, host, port, target):
    found = check(url)
    assert (found.secure, found.host, found.port, found.target) == (secure, host, port, target)
    assert [address[:2] for *_, address in found.addresses] == [(host, port)]


def answers(*addresses):
    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return getaddrinfo


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("1.1.1.1", "10.0.0.1"), ("1.1.1.1", "::1"), ("::ffff:10.0.0.1", "1.1.1.1")])
def test_one_address_inside_is_enough_to_refuse_a_name(monkeypatch, addresses):
    monkeypatch.setattr(socket, "getaddrinfo", answers(*addresses))
    with pytest.raises(AddressError, match="not on the public internet"):
        check("https://receiver.example/")


def test_networks_of_the_settings_are_allowed_and_no_others(settings):
    settings.GATEWAY_WEBHOOK_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")]
    assert check("http://10.1.2.3/").addresses
    assert check("http://[fd00:1::7]/").addresses
    for host in ("10.2.0.1", "[fd00:2::7]", "[::ffff:10.1.2.3]", "127.0.0.1"):
        with pytest.raises(AddressError):
            check(f"http://{host}/")


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    began = time.monotonic()
    with pytest.raises(AddressError, match="not found"):
        check("https://receiver.example/", 0.2)
    assert time.monotonic() - began < 0.8


def test_a_query_is_not_shown():
    assert without_query("https://example.com/hook?token=s3cret") == "https://example.com/hook"
    assert without_query("https://example.com") == "https://example.com"

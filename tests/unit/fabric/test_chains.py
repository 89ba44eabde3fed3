import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from dxlfabric.chains import certificate_chain, certificate_id, parse_bundle, read_bundle
from dxlfabric.errors import CertificateError
from dxlfabric.issuing import (
    LIFETIME,
    Authority,
    common_name,
    issue_authority,
    issue_client,
    new_key,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_identifier_is_the_sha1_of_the_der_form() -> None:
    form = der(issue_authority(new_key(), now=NOW))
    assert certificate_id(form) == hashlib.sha1(form).hexdigest()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def intermediate(root: Authority) -> Authority:
    key = new_key()
    template = issue_authority(key, now=NOW, name=common_name("middle"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + LIFETIME)
    )
    return Authority(builder.sign(root.key, hashes.SHA256()), key)


def test_chain_goes_from_the_root_to_the_leaf() -> None:
    root_key = new_key()
    root = Authority(issue_authority(root_key, now=NOW), root_key)
    middle = intermediate(root)
    leaf = issue_client(middle, new_key(), name="leaf", now=NOW)
    expected = [certificate_id(der(each)) for each in (root.certificate, middle.certificate, leaf)]

    bundles = [pem(middle.certificate), pem(root.certificate)]
    assert list(certificate_chain(der(leaf), bundles)) == expected
    bundle = pem(root.certificate, middle.certificate)
    assert list(certificate_chain(der(leaf), [bundle])) == expected
    assert list(certificate_chain(der(middle.certificate), [bundle])) == expected[:2]


def test_chain_without_a_known_issuer_is_the_leaf() -> None:
    key, other_key = new_key(), new_key()
    name = common_name("the same name")
    mine = Authority(issue_authority(key, now=NOW, name=name), key)
    namesake = issue_authority(other_key, now=NOW, name=name)
    leaf = der(issue_client(mine, new_key(), name="leaf", now=NOW))

    assert certificate_chain(leaf, [pem(namesake)]) == (certificate_id(leaf),)
    assert certificate_chain(leaf, []) == (certificate_id(leaf),)


def test_chain_of_certificates_that_sign_each_other_ends() -> None:
    one_key, two_key = new_key(), new_key()
    one = Authority(issue_authority(one_key, now=NOW, name=common_name("one")), one_key)
    two = Authority(issue_authority(two_key, now=NOW, name=common_name("two")), two_key)

    def cross(subject: Authority, issuer: Authority) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject.certificate.subject)
            .issuer_name(issuer.certificate.subject)
            .public_key(subject.key.public_key())
            .serial_number(8)
            .not_valid_before(NOW)
            .not_valid_after(NOW + LIFETIME)
            .sign(issuer.key, hashes.SHA256())
        )

    leaf = der(issue_client(one, new_key(), name="leaf", now=NOW))
    chain = certificate_chain(leaf, [pem(cross(one, two), cross(two, one))])
    assert len(chain) == 10
    assert chain[-1] == certificate_id(leaf)


def test_certificates_that_are_none() -> None:
    with pytest.raises(CertificateError, match="peer's certificate"):
        certificate_chain(b"garbage", [])
    with pytest.raises(CertificateError, match="no certificates in PEM form"):
        parse_bundle(b"garbage")


def test_bundle_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"none\.crt: No such file"):
        read_bundle(tmp_path / "none.crt")

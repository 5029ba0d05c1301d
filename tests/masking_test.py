"""Masking: no secret of a failing command is kept or shown, and what is none stays readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.masking import SHOWN, mask

SECRET = "hunter2Xyz"

HIDDEN = [
    'curl -H "Authorization: Bearer {}" https://shop.test',
    "curl -H 'Authorization: Basic {}' https://shop.test",
    "curl -H 'Authorization: token {}' https://shop.test",
    "curl -H 'Authorization: {}' https://shop.test",
    'http shop.test Authorization:"Bearer {}"',
    'curl -H "X-Api-Key: {}" https://shop.test',
    "curl -H 'X-Auth-Token:{}' https://shop.test",
    'curl -H "Cookie: sid={}; theme=dark" https://shop.test',
    "curl -b sid={} https://shop.test",
    "curl -u alice:{} https://shop.test",
    "curl -ualice:{} https://shop.test",
    "curl --user=alice:{} https://shop.test",
    'curl --user "alice:{}" https://shop.test',
    "http --auth alice:{} shop.test",
    "git clone https://alice:{}@example.test/shop.git",
    "git clone https://:{}@example.test/shop.git",
    "psql postgres://app:{}@db/shop",
    "API_KEY={} make",
    "export GITHUB_TOKEN={}",
    "cd x && AWS_SECRET_ACCESS_KEY={} aws s3 ls",
    'AWS_SECRET_ACCESS_KEY="two {} words" aws s3 ls',
    "PGPASSWORD='{}' psql",
    "MYSQL_PWD={} mysql",
    "DB_PASS={} ./run",
    "deploy --password {}",
    "deploy --password={}",
    "deploy --password 'two {} words'",
    "deploy --api-key {}",
    "vault login -token={}",
    "openssl enc -aes256 -pass pass:{}",
    "npm config set //registry.test/:_authToken={}",
    "npm config set //registry.test/:_auth={}",
    "http POST shop.test password={}",
    "curl 'https://shop.test/?token={}&page=1'",
    """curl -d '{{"user": "a", "password": "{}"}}' https://shop.test""",
    r'curl -d "{{\"password\": \"{}\"}}" https://shop.test',
    "curl -d 'client_secret={}&grant=x' https://shop.test",
    "mysql -p{} shop",
    "sshpass -p {} ssh shop.test",
    "docker login -u me -p {} registry.test",
    'TOKEN="a quote that the cut has left open {}',
    "TOKEN='a quote that the cut has left open {}",
]

SHAPES = [
    "sk-proj-abcdefghij0123456789",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstuv",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIabc",
]

UNTOUCHED = [
    "pytest -q tests/auth/test_login.py",
    "pytest -p no:randomly -k 'token and not secret'",
    "python -m pytest tests/test_tokens.py::test_password",
    "npm run test:auth -- --grep login",
    "npm run auth:test",
    'git commit --author "Ann <ann@shop.test>" -m "Handle tokens"',
    "git log --author=ann",
    "git push -u origin main",
    "git clone git@example.test:shop/web.git",
    "git -c credential.helper=store fetch",
    "python train.py --tokenizer=bert --max-tokens=100",
    "mkdir -p src/secrets && ls -p",
    "ssh -p 2222 shop.test",
    "docker run -u 1000:1000 --rm web",
    "date -u +%H:%M",
    "curl https://shop.test:8080/logo@2x.png",
    "kubectl get secret db -o yaml",
    "grep -rn password src",
    "echo $TOKEN | wc -c",
    "deploy --use-token --verbose",
    "pip install sk-learn-contrib-extras",
    "make check || echo failed",
]


@pytest.mark.parametrize("command", HIDDEN)
def test_a_secret_is_not_shown(command):
    shown = mask(command.format(SECRET))
    assert SECRET not in shown and SHOWN in shown
    assert shown.split()[0] == command.split()[0] or "=" in command.split()[0], "the command itself stays readable"


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("around", ["{}", "run {} now", "x='{}'", "https://{}@example.test/x", "a/{}"])
def test_what_looks_like_a_key_is_not_shown_wherever_it_stands(secret, around):
    assert not any(line in mask(around.format(secret)) for line in secret.split("\n"))


@pytest.mark.parametrize("command", UNTOUCHED)
def test_a_command_without_secrets_stays_as_it_is(command):
    assert mask(command) == command


@given(
    before=st.text(alphabet="aA0 -_=:\"'\\/@.&{}|;\ntokenpasswrd", max_size=80),
    after=st.text(max_size=40),
    name=st.sampled_from(["PASSWORD=", "--token ", "api_key: ", "client-secret="]),
)
def test_a_secret_is_not_shown_whatever_stands_around_it(before, after, name):
    assert SECRET not in mask(f"{before} {name}{SECRET} {after}")


@pytest.mark.parametrize(
    "piece", ["a", "token", "password=", "-", "sk-", "eyJa.", "a:", "https://", "login -p ", "x" * 30]
)
def test_a_long_command_is_masked_without_backtracking_for_ever(piece):
    mask(piece * (2000 // len(piece)))

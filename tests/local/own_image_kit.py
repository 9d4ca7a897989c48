"""Images of one's own that serve, for tests: their server is in Perl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from image_kit import libraries, shell_layer
from registry_kit import layer, push
from resources import unique

ACCOUNT, REGION = "000000000000", "us-east-1"
needs_perl = pytest.mark.skipif(shutil.which("perl") is None, reason="no perl here to make an image of")

# What a request's first word asks for, and how the server is otherwise, by the variable MODE.
SERVE = r"""#!/usr/bin/perl
use strict; use warnings; use IO::Socket::INET; use Socket; use POSIX ();
$| = 1; $SIG{CHLD} = 'IGNORE'; $SIG{PIPE} = 'IGNORE';
my $mode = $ENV{MODE} // 'ok';
my $port = $ENV{PORT} // $ENV{SAGEMAKER_BIND_TO_PORT} // 8080;
my $main = $$;
print "serving as $mode on $port with @ARGV\n";
if ($mode eq 'crash') { print STDERR "the model is broken\n"; exit 3; }
sleep 600 if $mode eq 'silent';
my %where = (loopback => '127.0.0.1');
my $server;
if ($mode eq 'v6') {
    socket($server, Socket::AF_INET6(), SOCK_STREAM, 0) or die; setsockopt($server, 41, 26, 1);
    bind($server, Socket::pack_sockaddr_in6($port, Socket::inet_pton(Socket::AF_INET6(), '::1'))) or die "v6: $!";
    listen($server, 64);
} else {
    $server = IO::Socket::INET->new(Listen => 64, LocalAddr => $where{$mode} // '0.0.0.0', LocalPort => $port,
                                    ReuseAddr => 1) or die "cannot listen: $!";
}
$SIG{TERM} = sub { print "asked to end\n"; POSIX::_exit(0) };
my $began = time;
while (1) {
    accept(my $client, $server) or next;
    my $pid = fork();
    if ($pid) { close $client; next; }
    close $server; $SIG{TERM} = 'DEFAULT'; binmode $client; $client->autoflush(1); serve($client); POSIX::_exit(0);
}
sub serve {
    my ($client) = @_;
    print $client "SSH-2.0-OpenSSH_9.2\r\n" and return if $mode eq 'nonsense';
    sleep 600 if $mode eq 'mute';
    while (defined(my $line = <$client>)) {
        my ($method, $path) = split ' ', $line;
        my (%headers, $body); $body = '';
        while (defined(my $header = <$client>)) {
            $header =~ s/\r?\n$//; last if $header eq '';
            my ($name, $value) = split /:\s*/, $header, 2; $headers{lc $name} = $value;
        }
        read($client, $body, $headers{'content-length'}) if $headers{'content-length'};
        my @answer = answer($client, $path, $body, \%headers) or return;
        my ($status, $text, $more) = @answer;
        $more //= '';
        print $client "HTTP/1.1 $status Whatever\r\nContent-Length: ", length($text), "\r\n$more\r\n$text";
        return if $body =~ /^bye/;
    }
}
sub answer {
    my ($client, $path, $body, $headers) = @_;
    if ($path eq '/ping') { return ($mode eq 'ill' ? 503 : 200, ''); }
    if ($path eq '/execution-parameters') { return defined $ENV{PARAMETERS} ? (200, $ENV{PARAMETERS}) : (404, 'no'); }
    return (404, "no $path") if $path ne '/invocations';
    my ($what, $rest) = split ' ', $body, 2; $what //= '';
    return (200, join("\n", map { "$_=$$headers{$_}" } sort keys %$headers)) if $what eq 'headers';
    return (200, join("\n", map { "$_=$ENV{$_}" } sort keys %ENV)) if $what eq 'variables';
    return (200, join(' ', map { my $n = $_; $n =~ s{.*/}{}; $n } sort glob($rest)) . "\n") if $what eq 'list';
    if ($what eq 'read') { open(my $file, '<', $rest) or return (500, "$rest: $!"); local $/; return (200, <$file>); }
    return ($rest + 0, "status $rest") if $what eq 'status';
    return (200, $body, "X-Amzn-SageMaker-Custom-Attributes: $rest\r\nContent-Type: a/b\r\n") if $what eq 'attributes';
    if ($what eq 'chunked') {
        print $client "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        printf $client "%x\r\n%s\r\n", length $_, $_ for split ' ', $rest;
        print $client "0\r\n\r\n"; return serve($client);
    }
    if ($what eq 'endless') { print $client "HTTP/1.0 200 OK\r\n\r\n$rest"; return; }
    return if $what eq 'close';
    return (200, length $body) if $what eq 'length';
    if ($what eq 'nonsense') { print $client "go away\r\n"; return; }
    return (200, 'x' x $rest) if $what eq 'large';
    if ($what eq 'wait') { select undef, undef, undef, $rest; return (200, "waited $rest"); }
    if ($what eq 'exit') { kill 'TERM', $main; sleep 5; }
    return (200, reach(split ' ', $rest)) if $what eq 'reach';
    return (200, join('', map { my $s = 0; $s += $_ for split /,/; "$s\n" } split /\n/, $body));
}
sub reach {
    my ($host, $to) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $to, Timeout => 2) or return "no: $!";
    print $socket "GET /_localstack/health HTTP/1.0\r\nHost: $host\r\n\r\n";
    my $line = <$socket> // ''; $line =~ s/\s+$//; return $line;
}
"""


# Says which files it has loaded.
_LOADED = """
use strict; use warnings; use IO::Socket::INET; use IO::Select; use Socket; use POSIX ();
use Errno; use Carp; use File::Glob;
require Exporter::Heavy; require Carp::Heavy;
print join "\\n", values %INC, @DynaLoader::dl_shared_objects;
"""


@cache
def perl_layer() -> bytes:
    """Perl, and what of it the server loads."""
    perl = shutil.which("perl") or ""
    said = subprocess.run([perl, "-e", _LOADED], check=True, capture_output=True, text=True).stdout
    loaded = {path.lstrip("/"): Path(path).read_bytes() for path in sorted(said.split("\n"))}
    return layer({**loaded, **libraries(perl), "usr/bin/perl": Path(perl).read_bytes()})


def contents(files: Mapping[str, str | bytes] | None = None) -> tuple[bytes, ...]:
    """The layers of an image with the server as its `serve`, or of a shell with these files."""
    if files is not None:
        return shell_layer(), layer(files)
    return shell_layer(), perl_layer(), layer({"usr/local/bin/serve": SERVE})


def own_image(aws: Any, files: Mapping[str, str | bytes] | None = None, **config: Any) -> str:
    """Push an image of such layers; its URI."""
    repository, ecr = unique("own/image"), aws.client("ecr")
    ecr.create_repository(repositoryName=repository)
    push(ecr, repository, config, *contents(files))
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:latest"

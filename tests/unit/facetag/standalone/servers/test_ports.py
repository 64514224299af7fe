import random
import socket

from facetag.standalone.servers.ports import (
    FIRST_PORT,
    LAST_PORT,
    LOOPBACK,
    find_free_ports,
    is_free,
)


def test_the_ports_are_different_and_below_those_of_outgoing_connections():
    ports = find_free_ports(20)
    assert len(set(ports)) == 20
    assert all(FIRST_PORT <= port <= LAST_PORT for port in ports)


def test_programs_that_seed_chance_alike_take_different_ports():
    random.seed(7)
    first = find_free_ports(8)
    random.seed(7)
    assert find_free_ports(8) != first


def test_a_port_on_which_somebody_listens_is_not_free():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_port_on_which_somebody_listens_everywhere_is_not_free():
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])

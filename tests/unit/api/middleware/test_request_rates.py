from facetag_api.middleware.request_rates import RequestRates


def test_a_key_may_burst_and_then_as_much_as_flows_in():
    now = [0.0]
    rates = RequestRates(60, now=lambda: now[0])
    assert [rates.take("a") for _ in range(11)] == [True] * 10 + [False]
    assert rates.take("b")
    now[0] = 2.0
    assert [rates.take("a") for _ in range(3)] == [True, True, False]


def test_callers_by_the_thousand_fill_no_memory():
    rates = RequestRates(60)
    for number in range(10_000):
        rates.take(str(number))
    assert len(rates._buckets) <= 4096

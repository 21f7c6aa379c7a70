from orchestrator.runs.call import Call, described


def test_ids_say_where_a_call_hangs():
    root = Call("0", "root", "w")
    first = root.child("skill", "a.f", {"x": 1})
    second = root.child("skill", "a.f", {"x": 1})
    below = second.child("skill", "b.g", {})
    assert [call.id for call in (root, first, second, below)] == ["0", "0.1", "0.2", "0.2.1"]
    assert [call.depth for call in (root, first, second, below)] == [0, 1, 1, 2]
    assert below.route() == "w → a.f → b.g"


def test_a_call_that_calls_itself_with_the_same_arguments_is_refused_naming_the_path():
    root = Call("0", "root", "w")
    outer = root.child("skill", "a.f", {"x": [1, {"y": 2, "z": 3}]})
    inner = outer.child("skill", "b.g", {})
    refused = inner.child("skill", "a.f", {"x": [1, {"z": 3, "y": 2}]}).refused(9)
    assert str(refused) == "`a.f` calls itself with the same arguments: w → a.f → b.g → a.f"
    assert (refused.kind, refused.error_kind) == ("denied", "cycle")
    assert inner.child("skill", "a.f", {"x": [1]}).refused(9) is None


def test_the_same_call_twice_side_by_side_is_no_cycle():
    root = Call("0", "root", "w")
    root.child("skill", "a.f", {})
    second = root.child("skill", "a.f", {})
    assert (second.id, second.refused(9)) == ("0.2", None)


def test_a_call_below_the_depth_limit_is_refused_saying_both_depths():
    root = Call("0", "root", "w")
    deep = root.child("skill", "a.f", {"n": 1})
    assert deep.refused(1) is None
    refused = deep.child("skill", "a.f", {"n": 2}).refused(1)
    assert "would be at depth 2; the budget allows 1" in str(refused)
    assert (refused.kind, refused.error_kind) == ("budget", "depth")


def test_arguments_are_described_in_one_short_line():
    assert described({"path": "a.txt", "n": 3}) == 'path="a.txt", n=3'
    assert len(described({"text": "x" * 500})) == 60

from pearbox_edge.wire import OUT_OF_BOUNDS
from pearbox_edge.wire.buffers import invalid, out_of_bounds, out_of_range


def test_errors_are_one_line_and_carry_their_code() -> None:
    errors = [out_of_bounds(4, 2), out_of_range("9"), invalid("this")]
    assert [error.code for error in errors] == [OUT_OF_BOUNDS, "OUT_OF_RANGE", "INVALID_ENCODING"]
    assert not any("\n" in str(error) for error in errors)
    assert str(errors[0]) == "out of bounds: 4 bytes needed, 2 left"

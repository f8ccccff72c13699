"""Time of calls on a device, by its own events: contenders in turn, in rotating order, each call on the next set of
inputs. Nothing waits between calls, and with torch the device is kept busy while the first ones are queued, so that the
time from event to event is the device's and not that of queueing.
"""
import dataclasses
import statistics

LEAST_ROUNDS, MOST_ROUNDS = 7, 100
WARM_UP_S = 0.25                  # of work before the first time counts: a GPU at rest takes a while to reach its clocks
_BATCH = 10                       # rounds queued before waiting
_HOLD_CYCLES = 20_000_000         # about 10 ms, longer than queueing a batch takes


@dataclasses.dataclass
class Times:
    """Milliseconds of one contender's calls in one row."""

    values: list

    def record(self):
        ordered = sorted(self.values)
        place = lambda part: ordered[round(part * (len(ordered) - 1))]
        return {"ms": statistics.median(ordered), "p10_ms": place(0.1), "p90_ms": place(0.9), "calls": len(ordered)}


class TorchClock:
    def __init__(self, torch):
        self.torch = torch

    def event(self):
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def hold(self):
        self.torch.cuda._sleep(_HOLD_CYCLES)

    def wait(self):
        self.torch.cuda.synchronize()

    @staticmethod
    def elapsed(begin, end):
        return begin.elapsed_time(end)


class DeviceClock:
    """The events of attnc's runtime, where there is no torch."""

    def __init__(self, device):
        self.device = device

    def event(self):
        event = self.device.event()
        event.record()
        return event

    def hold(self):
        pass

    def wait(self):
        self.device.synchronize()

    @staticmethod
    def elapsed(begin, end):
        return end.milliseconds_since(begin)


def rounds_for(seconds, round_seconds):
    """How many rounds fit."""
    return max(LEAST_ROUNDS, min(MOST_ROUNDS, int(seconds / max(round_seconds, 1e-9))))


def measure(clock, calls, sets, seconds):
    """Times by name of `calls`, functions of a set's index, in about `seconds`. Rounds that do not count go before: one in
    which modules load, one that says how many there is time for, and the warm-up."""
    names, rounds, turn = list(calls), 0, 0

    def queue(times):
        nonlocal rounds, turn
        shift = rounds % len(names)
        for name in names[shift:] + names[:shift]:
            begin = clock.event()
            calls[name](turn % sets)
            times.append((name, begin, clock.event()))
            turn += 1
        rounds += 1

    def run(count):
        """Times by name of so many rounds."""
        found = {name: [] for name in names}
        while count > 0:
            batch = []
            clock.hold()
            for _ in range(min(count, _BATCH)):
                queue(batch)
            clock.wait()
            count -= _BATCH
            for name, begin, end in batch:
                found[name].append(clock.elapsed(begin, end))
        return found

    run(1)
    round_seconds = sum(sum(values) for values in run(1).values()) / 1e3
    run(rounds_for(WARM_UP_S, round_seconds))
    return {name: Times(values) for name, values in run(rounds_for(seconds, round_seconds)).items()}

"""What the operating system says about a server process: CPU time and memory, never wall time."""

import sys
import time
from collections.abc import Mapping

import psutil


def processes(pid: int) -> list[psutil.Process]:
    """Return the process *pid* and all below it: a server may have workers."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def cpu_ns(pid: int) -> int:
    """Return the CPU time, user and system, that *pid* and its children have used, in nanoseconds.

    Linux gives every process a CPU clock of nanosecond precision (clock_getcpuclockid(3)); elsewhere the
    figure comes in clock ticks, so that runs must be longer.
    """
    total = 0
    for process in processes(pid):
        if sys.platform == "linux":
            total += time.clock_gettime_ns((~process.pid << 3) | 2)  # CPUCLOCK_SCHED of that process
        else:
            times = process.cpu_times()
            total += int((times.user + times.system) * 1e9)
    return total


def busy_ns() -> int:
    """Return the CPU time that the whole machine has used so far, in nanoseconds (in clock ticks, really)."""
    times = psutil.cpu_times()
    waited = times.idle + getattr(times, "iowait", 0.0)
    return int((sum(times[:8]) - waited) * 1e9)  # beyond the eighth Linux counts guests twice


class Clocks:
    """The clocks of the servers *pids*, of this process and of the machine, started together."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._started = time.perf_counter_ns()
        self._own, self._busy = time.process_time_ns(), busy_ns()
        self._cpu = {name: cpu_ns(pid) for name, pid in pids.items()}

    def read(self) -> tuple[dict[str, int], float, float]:
        """Return CPU nanoseconds by server, the seconds gone by, and the part of the CPU that others used."""
        cpu = {name: cpu_ns(pid) - self._cpu[name] for name, pid in self._pids.items()}
        ours = sum(cpu.values()) + time.process_time_ns() - self._own
        elapsed = time.perf_counter_ns() - self._started
        all_cores = elapsed * (psutil.cpu_count() or 1)
        return cpu, elapsed / 1e9, max(0.0, (busy_ns() - self._busy - ours) / all_cores)


def rss_bytes(pid: int) -> int:
    """Return the resident memory of *pid* and its children, in bytes."""
    return sum(process.memory_info().rss for process in processes(pid))


def cpu_model() -> str:
    """Return the CPU's name as the kernel tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        return "unknown CPU"
    return "unknown CPU"

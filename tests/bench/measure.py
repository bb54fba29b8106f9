"""What the operating system says about a server process: CPU time and memory, never wall time."""

import sys
import time

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

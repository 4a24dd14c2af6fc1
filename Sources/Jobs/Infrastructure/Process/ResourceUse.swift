#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import CommandLineKit
import Foundation

/// What the process has used, for reports.
public enum ResourceUse {
    /// The most memory that was resident at one time, in bytes; mapped pages count while they are resident.
    public static var peakResidentBytes: Int {
        if let known = peakOfStatus { return known }
        var usage = rusage()
        #if canImport(Glibc)
        let unit = 1024  // Linux counts kibibytes.
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        #else
        let unit = 1
        guard getrusage(RUSAGE_SELF, &usage) == 0 else { return 0 }
        #endif
        return Int(usage.ru_maxrss) * unit
    }

    /// What Linux says of this program alone: `getrusage` counts what started it as well, if that was larger.
    private static var peakOfStatus: Int? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kibibytes * 1024
    }

    /// The memory of the machine, or of the container that the process runs in where that is less.
    public static var physicalBytes: Int {
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        let limit = try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8)
        let container = limit.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        return min(machine, container ?? machine)
    }
}

/// Seconds since it was made, by a clock that never goes back.
public struct Stopwatch: Sendable {
    private let start = Terminal.steadySeconds()

    public init() {}

    public var seconds: Double { Terminal.steadySeconds() - start }
}

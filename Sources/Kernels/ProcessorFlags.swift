import Foundation

/// What the processor can do, in the words of /proc/cpuinfo.
enum ProcessorFlags {
    static func read() -> Set<String> {
        #if canImport(Darwin)
        let features = ["avx2_0", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"]
        return Set(features.filter { isSet("hw.optional." + $0) }.map { $0 == "avx2_0" ? "avx2" : $0 })
        #else
        guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("flags") })
        else { return [] }
        return Set(line.split(separator: " ").map(String.init))
        #endif
    }

    #if canImport(Darwin)
    private static func isSet(_ name: String) -> Bool {
        var value: Int32 = 0
        var size = MemoryLayout<Int32>.size
        return sysctlbyname(name, &value, &size, nil, 0) == 0 && value == 1
    }
    #endif
}

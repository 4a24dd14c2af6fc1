/// Seconds by what they were spent on, in the order in which that began.
public struct StageTimes: Sendable {
    public private(set) var entries: [(name: String, seconds: Double)] = []

    public init() {}

    public var total: Double { entries.reduce(0) { $0 + $1.seconds } }

    /// Seconds of the same name are added up.
    public mutating func add(_ name: String, _ seconds: Double) {
        if let place = entries.firstIndex(where: { $0.name == name }) {
            entries[place].seconds += seconds
        } else {
            entries.append((name, seconds))
        }
    }

    public mutating func add(_ other: StageTimes) {
        for entry in other.entries { add(entry.name, entry.seconds) }
    }

    /// Runs a stage and notes its time, also where it fails.
    public mutating func timed<Value, Failure>(
        _ name: String, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let start = ContinuousClock.now
        defer { add(name, (ContinuousClock.now - start) / .seconds(1)) }
        return try body()
    }
}

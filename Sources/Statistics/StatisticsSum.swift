import Safetensors

/// The sum of several statistics files of one model: what one run over all their texts would have found, but for the
/// order of additions.
///
/// Input by input, so memory is that of two.
public struct StatisticsSum {
    private let parts: [ActivationStatistics]
    /// What the sum's file will say.
    public let header: StatisticsHeader

    /// - Parameter parts: at least one; moments of the sum are in Double where those of any part are.
    /// - Throws: `StatisticsError.mismatch` where two are of different models, or of different inputs.
    public init(of parts: [ActivationStatistics]) throws(StatisticsError) {
        precondition(!parts.isEmpty, "a sum of nothing")
        self.parts = parts
        var header = parts[0].header
        for part in parts.dropFirst() {
            func refuse(_ reason: String) -> StatisticsError {
                .mismatch(file: parts[0].path, other: part.path, reason: reason)
            }
            guard part.header.modelFingerprint == header.modelFingerprint else {
                throw refuse("they were collected on different models")
            }
            guard part.header.inputs == header.inputs else {
                let other = Set(part.header.inputs)
                let odd = header.inputs.first { !other.contains($0) } ?? part.header.inputs.first
                throw refuse("their inputs differ" + (odd.map { " at \($0.name)" } ?? ""))
            }
            guard part.header.gradients == header.gradients else {
                throw refuse("only one has gradients, or they are of other layers")
            }
            if part.header.precision == .f64 { header.precision = .f64 }
            header.runs += part.header.runs
        }
        self.header = header
    }

    /// Hashes of texts that were counted more than once.
    public var repeatedTexts: [String] {
        Dictionary(grouping: header.runs, by: \.tokenSHA256).filter { $0.value.count > 1 }.map(\.key).sorted()
    }

    /// - Parameter each: told of every input before its work.
    public func write(to path: String, each: (LayerInput) throws -> Void) throws {
        let writer = try StatisticsWriter(path: path, header: header)
        for input in header.sums {
            try each(input)
            let sum = try parts[0].moments(of: input)
            for part in parts.dropFirst() { sum.add(try part.moments(of: input)) }
            try writer.append(sum, of: input)
        }
        try writer.finish()
    }
}

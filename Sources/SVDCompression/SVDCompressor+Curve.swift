import CompressionCore

/// What a matrix loses at every rank: the tails of its spectrum in the metric of the objective.
extension SVDCompressor {
    public func curve(of task: CompressionTask) throws -> LossCurve? {
        try curve(of: task) { _ in nil }?.curve
    }

    /// One decomposition for the spectrum and for the rank, except by the randomised route, which has no spectrum.
    public func curve(
        of task: CompressionTask, choosingRank: (LossCurve) -> Int?
    ) throws -> (curve: LossCurve, truncated: CompressionOutcome?)? {
        let shared = SharedTruncation(task.objective, route: route, [])
        var rank: Int?
        let spectrum = try shared.spectrum { spectrum in
            let absent = max(0, min(task.member.outFeatures, task.member.inFeatures) - spectrum.count)
            let squares = spectrum.map { $0 * $0 } + Array(repeating: 0, count: absent)
            rank = curve(of: task.member, squaredSpectrum: squares).flatMap(choosingRank)
            return rank
        }
        guard let curve = curve(of: task.member, squaredSpectrum: spectrum.map { $0 * $0 }) else { return nil }
        return (curve, try rank.map { try compress(task, budget: .rank($0), shared) })
    }

    public func truncation(
        of task: CompressionTask, upTo rank: Int
    ) -> (_ rank: Int) throws -> CompressionOutcome {
        let largest = SharedTruncation.Request(rule: rule(for: task.member), budget: .rank(rank))
        let shared = SharedTruncation(task.objective, route: route, [largest])
        return { try compress(task, budget: .rank($0), shared) }
    }

    /// That of the basis which the members share.
    public func curve(of group: [CompressionTask]) throws -> GroupLossCurve? {
        try sharedBasis.curve(of: group)
    }

    public func curve(of member: GroupMember, squaredSpectrum spectrum: [Double]) -> LossCurve? {
        let rule = rule(for: member)
        // From the smallest value up, so that small squares are not lost in a large sum.
        var tails = [Double](repeating: 0, count: spectrum.count + 1)
        for index in spectrum.indices.reversed() { tails[index] = tails[index + 1] + spectrum[index] }
        let points = stride(from: rankMultiple, to: spectrum.count, by: rankMultiple)
            .prefix { rule.saves($0) && rule.numbers($0) < member.storedParameters }
        return LossCurve(
            points: points.map { LossCurve.Point(rank: $0, parameters: rule.numbers($0), loss: tails[$0]) },
            denseParameters: member.storedParameters, squaredSpectrum: spectrum)
    }
}

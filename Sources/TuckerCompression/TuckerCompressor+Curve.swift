import CompressionCore
import LinearAlgebra
import MatrixCore

/// What a Tucker form loses at every size.
///
/// A matrix is its truncated SVD, so its spectrum says it. Of a stack the sizes are equal steps of its share of
/// numbers, each with the ranks that `TuckerRankRule` gives it, and the losses those of its HOSVD (`TuckerSpectrum`),
/// which HOOI and the fit of the cores then only lower. Members that read other inputs are measured in the metric of
/// the stack.
extension TuckerCompressor {
    /// Steps from nothing to the dense stack.
    private static let shares = 128

    public func curve(of task: CompressionTask) throws -> LossCurve? {
        let layout = try layout([task.member])
        guard options.ranks == nil, layout.kind == .matrix else { return nil }
        let problem = try TuckerProblem([task], layout)
        let tensor = problem.tensor()
        let spectrum = try TuckerSpectrum(tensor, layout, route: decomposition.route)
        let scale = problem.weights[0] * problem.weights[0]
        let losses = (0...min(layout.rows, layout.columns)).map { rank in
            spectrum.lost(TuckerRanks(members: 1, rows: rank, columns: rank)) / scale
        }
        return curve(of: task.member, squaredSpectrum: zip(losses, losses.dropFirst()).map { max(0, $0 - $1) })
    }

    public func curve(of member: GroupMember, squaredSpectrum spectrum: [Double]) -> LossCurve? {
        guard options.ranks == nil, let layout = try? layout([member]), layout.kind == .matrix else { return nil }
        // From the smallest value up, so that small squares are not lost in a large sum.
        var tails = [Double](repeating: 0, count: spectrum.count + 1)
        for index in spectrum.indices.reversed() { tails[index] = tails[index + 1] + spectrum[index] }
        let points = stride(from: rankMultiple, to: spectrum.count, by: rankMultiple).compactMap { rank in
            let ranks = TuckerRanks(members: 1, rows: rank, columns: rank)
            return layout.saves(ranks) && layout.parameters(ranks) < member.parameters
                ? LossCurve.Point(rank: rank, parameters: layout.parameters(ranks), loss: tails[rank]) : nil
        }
        return LossCurve(points: points, denseParameters: member.storedParameters, squaredSpectrum: spectrum)
    }

    public func curve(of group: [CompressionTask]) throws -> GroupLossCurve? {
        guard options.ranks == nil, options.bundle == nil else { return nil }
        let members = group.map(\.member), layout = try layout(members)
        let rule = TuckerRankRule(layout: layout, multiple: rankMultiple, form: options.form)
        let problem = try TuckerProblem(group, layout)
        let spectrum = try TuckerSpectrum(problem.tensor(), layout, route: decomposition.route)
        let totals = group.map { $0.objective.squaredNorm(of: $0.objective.target) }, total = totals.reduce(0, +)
        var points: [LossCurve.Point] = []
        for step in 1..<Self.shares {
            let budget = Budget.keep(Double(step) / Double(Self.shares))
            guard let ranks = rule.ranks(for: budget), layout.saves(ranks) else { continue }
            let plain = try plainRanks(layout, members, budget).map { layout.plain.parameters($0) }
            let parameters = max(layout.parameters(ranks), plain ?? 0)
            let loss = spectrum.total > 0 ? total * spectrum.lost(ranks) / spectrum.total : 0
            // A larger size of the same ranks, or of ones that lose more, is none.
            guard parameters <= step * layout.count / Self.shares, parameters < layout.count,
                points.last.map({ $0.parameters < parameters && $0.loss > loss }) ?? true
            else { continue }
            points.append(LossCurve.Point(rank: step, parameters: parameters, loss: loss))
        }
        return GroupLossCurve(
            joint: LossCurve(
                points: points, denseParameters: layout.count,
                squaredSpectrum: spectrum.columnShares.map { $0 * total }, total: total, shares: Self.shares),
            losses: [], totals: totals)
    }
}

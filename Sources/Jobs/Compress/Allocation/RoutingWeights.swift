import Checkpoints

/// What experts count in an allocation: how often they are chosen.
///
/// Losses of matrices are compared relative to the matrix, so an expert that few tokens reach would cost as much as one
/// that most do. With the counts of a calibration its loss counts in their proportion, the mean over the experts of a
/// projection being that of a dense matrix.
struct RoutingWeights {
    /// One for each module.
    let values: [Double]

    /// - Parameters:
    ///   - projections: what names the experts that a module is one of; nil for others.
    ///   - tokens: that each module has read; nil where that is not known.
    init(projections: [String?], tokens: [Int?]) {
        var sums: [String: (tokens: Int, experts: Int)] = [:]
        for case (let projection?, let count?) in zip(projections, tokens) {
            sums[projection, default: (0, 0)].tokens += count
            sums[projection, default: (0, 0)].experts += 1
        }
        values = zip(projections, tokens).map { projection, count in
            guard let projection, let count, let sum = sums[projection], sum.tokens > 0 else { return 1 }
            return Double(count) * Double(sum.experts) / Double(sum.tokens)
        }
    }

    /// - Parameter tokens: that a module has read.
    init(of modules: [LinearModule], tokens: (LinearModule) throws -> Int?) rethrows {
        self.init(
            projections: modules.map { $0.expert == nil ? nil : "\($0.layer ?? -1) \($0.role.rawValue)" },
            tokens: try modules.map { $0.expert == nil ? nil : try tokens($0) })
    }
}

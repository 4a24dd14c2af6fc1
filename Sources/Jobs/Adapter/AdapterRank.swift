/// How many components of a difference an adapter takes, matrix by matrix.
public enum AdapterRank: Sendable, Equatable {
    /// At most so many.
    case rank(Int)
    /// The fewest with this share of Σσ².
    case energy(Double)
    /// The fewest that leave at most this relative error of the difference.
    case error(Double)

    /// Below this share of the largest singular value there is only the rounding of Float.
    private static let noise = 1e-6

    /// At least one: PEFT knows no rank 0.
    /// - Parameter spectrum: singular values, descending.
    func rank(of spectrum: [Double]) -> Int {
        let first = spectrum.first ?? 0
        let known = spectrum.prefix { $0 > first * Self.noise }
        let rank =
            switch self {
            case .rank(let limit): min(limit, known.count)
            case .energy(let share): Self.fewest(known, leaving: 1 - share)
            case .error(let bound): Self.fewest(known, leaving: bound * bound)
            }
        return max(rank, 1)
    }

    private static func fewest(_ values: ArraySlice<Double>, leaving share: Double) -> Int {
        let total = values.reduce(0) { $0 + $1 * $1 }
        // From the smallest value up, so that small squares are not lost in a large sum.
        var left = 0.0
        var rank = values.count
        for value in values.reversed() {
            left += value * value
            if left > share * total { break }
            rank -= 1
        }
        return rank
    }
}

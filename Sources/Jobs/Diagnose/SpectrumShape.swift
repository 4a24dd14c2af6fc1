import Foundation
import LinearAlgebra

/// How a spectrum divides into directions that carry something and a bulk that looks like noise.
///
/// The singular values of an m × n matrix of independent entries of size s lie below s(√m + √n), the Marchenko–Pastur
/// edge, and their median gives s. Values above the edge are no noise of that kind.
///
/// - Source: Gavish and Donoho, "The optimal hard threshold for singular values is 4/√3", 2014, for s from the median.
struct SpectrumShape {
    /// exp of the entropy of σ²/Σσ².
    let effectiveRank: Double
    /// Smallest ranks that keep 90 % and 99 % of Σσ².
    let rankKeeping90: Int
    let rankKeeping99: Int
    /// s(√m + √n), in the units of σ.
    let bulkEdge: Double
    /// Singular values above the edge.
    let spikes: Int
    /// Their share of Σσ².
    let spikeEnergy: Double

    /// - Parameter values: all singular values of a (rows × columns), descending.
    init(_ values: [Double], rows: Int, columns: Int) {
        effectiveRank = LinearAlgebra.effectiveRank(of: values)
        rankKeeping90 = rankKeeping(0.9, of: values)
        rankKeeping99 = rankKeeping(0.99, of: values)
        let short = Double(min(rows, columns)), long = Double(max(rows, columns))
        let median = values.isEmpty ? 0 : values[values.count / 2]
        let size = median / (long * Self.medianOfBulk(aspect: short / max(long, 1))).squareRoot()
        let edge = size * (short.squareRoot() + long.squareRoot())
        bulkEdge = edge
        spikes = values.prefix { $0 > edge }.count
        let total = values.reduce(0) { $0 + $1 * $1 }
        spikeEnergy = total > 0 ? values.prefix(spikes).reduce(0) { $0 + $1 * $1 } / total : 0
    }

    /// Median of the Marchenko–Pastur law of σ²/(s²·long side), whose density over a … b = (1 ∓ √β)² is
    /// √((b − x)(x − a)) / (2π β x): with x = (a + b)/2 − (b − a)/2 · cos θ it is smooth in θ, and summed by midpoints.
    static func medianOfBulk(aspect: Double) -> Double {
        let root = aspect.squareRoot(), steps = 20_000
        guard root > 0 else { return 1 }
        let points = (0..<steps).map { step in
            1 + aspect - 2 * root * cos((Double(step) + 0.5) * Double.pi / Double(steps))
        }
        let density = points.enumerated().map { step, x in
            pow(sin((Double(step) + 0.5) * Double.pi / Double(steps)), 2) / x
        }
        let half = density.reduce(0, +) / 2
        var sum = 0.0
        for (x, value) in zip(points, density) {
            sum += value
            if sum >= half { return x }
        }
        return 1
    }
}

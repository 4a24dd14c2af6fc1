import Foundation
import Safetensors

/// A few of the singular values that a rank cuts, for a picture in the report.
public enum SpectrumSample {
    /// Enough for a smooth curve on a logarithmic axis.
    private static let points = 40
    /// Six digits are more than a picture shows.
    private static let digits = 1e6

    /// `{"indices": [1, 2, …], "values": […]}`: indices count from one, are even in their logarithm, and hold the last
    /// one and the rank; nil where there is no value.
    public static func json(_ values: [Double], rank: Int) -> JSON? {
        guard !values.isEmpty else { return nil }
        var indices = Set([1, values.count, min(max(rank, 1), values.count)])
        for step in 0..<points {
            indices.insert(Int(pow(Double(values.count), Double(step) / Double(points - 1)).rounded()))
        }
        let sorted = indices.filter { (1...values.count).contains($0) }.sorted()
        return [
            "indices": JSON(sorted), "values": .array(sorted.map { JSON(rounded(values[$0 - 1])) }),
        ]
    }

    /// The same with its name and its rank, for matrices that have several spectra.
    public static func json(_ values: [Double], rank: Int, name: String) -> JSON? {
        guard var sample = json(values, rank: rank) else { return nil }
        sample["name"] = JSON(name)
        sample["rank"] = JSON(rank)
        return sample
    }

    private static func rounded(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 0 }
        let scale = digits / pow(10, floor(log10(value)) + 1)
        return scale.isFinite && scale > 0 ? (value * scale).rounded() / scale : value
    }
}

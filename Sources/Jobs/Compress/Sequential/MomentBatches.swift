import Models
import Statistics

/// Divides the inputs of a step so that the sums of each part fit in memory at once; nothing depends on how.
enum MomentBatches {
    /// As much as `calibrate` takes.
    private static var usualBytes: Int { ResourceUse.physicalBytes / 2 }

    /// Neighbours as long as they fit, at least one at a time.
    static func batches(of inputs: [LayerInput]) -> [[LayerInput]] {
        batches(of: inputs) { PairedMoments.bytes(features: $0.features) }
    }

    static func batches<Item>(of items: [Item], bytes: (Item) throws -> Int) rethrows -> [[Item]] {
        var batches: [[Item]] = []
        var used = 0
        for item in items {
            let own = try bytes(item)
            if batches.isEmpty || used > 0 && used + own > usualBytes {
                batches.append([])
                used = 0
            }
            batches[batches.count - 1].append(item)
            used += own
        }
        return batches
    }
}

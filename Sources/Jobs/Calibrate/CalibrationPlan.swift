import CommandLineKit
import Models
import Statistics

/// In which order a calibration goes through a model: layer by layer, and each layer once for every group of inputs
/// whose sums fit in memory together.
struct CalibrationPlan {
    /// All sequences through one layer.
    struct Pass {
        let layer: Int
        /// What is added up; the rest of the layer only computes.
        let inputs: [LayerInput]
        /// Whether the layer is done with it, so that its output is kept for the next.
        let isLastOfLayer: Bool
        /// Name in the journal.
        let unit: String
    }

    let passes: [Pass]

    /// - Throws: `JobError.usage` where a single input does not fit.
    init(_ model: Model, memoryBytes: Int) throws {
        var passes: [Pass] = []
        let layers = model.description.layers
        for layer in 0..<layers {
            var inputs = model.inputs(ofLayer: layer)
            if layer == layers - 1, let head = model.headInput { inputs.append(head) }
            let groups = try Self.groups(of: inputs, memoryBytes: memoryBytes)
            for (index, group) in groups.enumerated() {
                passes.append(
                    Pass(
                        layer: layer, inputs: group, isLastOfLayer: index == groups.count - 1,
                        unit: "layer-\(layer)-pass-\(index)"))
            }
        }
        self.passes = passes
    }

    /// Neighbours as long as they fit.
    static func groups(of inputs: [LayerInput], memoryBytes: Int) throws -> [[LayerInput]] {
        var groups: [[LayerInput]] = []
        var used = 0
        for input in inputs {
            let bytes = InputMoments.bytes(features: input.features)
            guard bytes <= memoryBytes else {
                throw JobError.usage(
                    "the moments of the \(input.features) features of \(input.name) take \(ByteCount.exact(bytes)); "
                        + "--memory is \(ByteCount.exact(memoryBytes))")
            }
            if groups.isEmpty || used + bytes > memoryBytes {
                groups.append([input])
                used = bytes
            } else {
                groups[groups.count - 1].append(input)
                used += bytes
            }
        }
        return groups
    }
}

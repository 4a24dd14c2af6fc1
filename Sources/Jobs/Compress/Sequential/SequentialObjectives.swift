import Checkpoints
import CommandLineKit
import CompressionCore
import MatrixCore
import Models
import Statistics

/// The objectives of modules behind layers that are compressed already.
struct SequentialObjectives: ObjectiveProvider {
    /// By module.
    private let corrections: [String: SequentialCorrection]
    /// Where `--stats` are given, errors without those of earlier layers are measured by them.
    private let statistics: ObjectiveSource

    init(_ moments: [LayerInput: PairedMoments], _ statistics: ObjectiveSource) throws {
        var corrections: [String: SequentialCorrection] = [:]
        for (input, sums) in moments {
            let correction = try Failure.naming(file: nil, tensor: input.name) { try sums.correction() }
            for module in input.modules { corrections[module] = correction }
        }
        self.corrections = corrections
        self.statistics = statistics
    }

    /// The target is another matrix than the weight, so the factors of that are of no use.
    func objective(for module: LinearModule, weight: MatrixOperand, factors: Factors?) throws -> Objective {
        let correction = try correction(of: module)
        return Objective(
            target: MatrixOperand(correction.target(for: weight)), inputs: .gram(correction.metric),
            outputs: try statistics.outputs(of: module))
    }

    func inputErrors(
        of compressed: any LinearOperator, for module: LinearModule, weight: MatrixOperand
    ) throws -> InputErrors {
        let correction = try correction(of: module)
        let found = compressed.reconstruct()
        var errors = try statistics.inputErrors(of: compressed, for: module, weight: weight)
        errors.activation = errors.activation ?? correction.isolatedError(of: found, for: weight)
        errors.sequential = correction.relativeError(of: found, for: weight)
        return errors
    }

    private func correction(of module: LinearModule) throws -> SequentialCorrection {
        guard let correction = corrections[module.name] else {
            throw JobError.badInput("the forward pass gives no input to \(module.name)", tensor: module.weightName)
        }
        return correction
    }
}

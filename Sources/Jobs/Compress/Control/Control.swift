import CompressionCore
import Kernels
import MatrixCore
import SVDCompression
import Safetensors

/// What a compression is held against: the same matrices in as many numbers, without the method.
public enum ControlKind: String, Sendable, CaseIterable {
    /// Nothing: matrices whose outputs are zero, so that a block whose matrices are all selected adds only biases.
    case drop
    /// A truncated SVD of as many numbers, in the same objective.
    case svd
    /// Random factors of as many numbers and of the norm that the method's result has: size and scale without content.
    case noise
}

/// Puts a control in the place of what a method made of a group, and says how the method itself does.
///
/// The control is a low-rank form (`ABLinear`, or `PivotLinear` for the SVD where the method is asked for pivots) of
/// the largest rank whose numbers are within those of the method, and at least 1, so it is loaded, run and verified
/// like any other result. What a group shares is divided over its members in the proportion of their sizes. A matrix
/// that the method leaves dense stays dense.
///
/// - Source: METHODS §7; Moar et al. (arXiv 2405.06626) and MixT (arXiv 2605.25344) lack these controls.
struct Control: Sendable {
    let kind: ControlKind
    let settings: MethodSettings

    /// - Parameter outcomes: of the method, one for each task.
    func outcomes(
        inPlaceOf outcomes: [CompressionOutcome], of tasks: [CompressionTask]
    ) throws -> [CompressionOutcome] {
        let share = Self.share(outcomes, tasks)
        return try zip(tasks, outcomes).map { task, outcome in
            guard case .compressed(let subject, _) = outcome else { return outcome }
            let rank = rank(of: task.member, within: share)
            let replaced: CompressionOutcome
            switch kind {
            case .drop: replaced = Self.factors(task.member, rank: 1, solver: "zero") { _, _ in 0 }
            case .svd: replaced = try svd(task, share: share)
            case .noise: replaced = noise(task.member, rank: rank, like: subject)
            }
            return described(replaced, task, subject)
        }
    }

    /// Numbers that the method stores of the matrices that it compresses, per dense number; shared tensors count once.
    private static func share(_ outcomes: [CompressionOutcome], _ tasks: [CompressionTask]) -> Double {
        var names: Set<String> = []
        var numbers = 0, dense = 0
        for case (.compressed(let found, _), let task) in zip(outcomes, tasks) {
            dense += task.member.parameters
            for tensor in found.tensors where !tensor.isIndex {
                let name = tensor.fullName(in: task.member.module)
                if names.insert(name).inserted { numbers += tensor.tensor.elementCount }
            }
        }
        return Double(numbers) / Double(max(dense, 1))
    }

    private func rank(of member: GroupMember, within share: Double) -> Int {
        let sides = member.outFeatures + member.inFeatures
        return max(1, Int(share * Double(member.parameters)) / max(sides, 1))
    }

    private func svd(_ task: CompressionTask, share: Double) throws -> CompressionOutcome {
        var plain = settings
        plain.values = [:]
        plain.rankMultiple = 1
        return try SVDCompressor(plain).compress([task], budget: .keep(share))[0]
    }

    /// A B with normal entries, each of the norm that makes the product as long as the method's result.
    private func noise(_ member: GroupMember, rank: Int, like subject: any LinearOperator) -> CompressionOutcome {
        let left = CounterRandom(seed: settings.seed, stream: Self.stream(member.module))
        let offset = member.outFeatures * rank
        let a = Matrix(rows: member.outFeatures, columns: rank) { Float(left.normal($0 * rank + $1)) }
        let b = Matrix(rows: rank, columns: member.inFeatures) {
            Float(left.normal(offset + $0 * member.inFeatures + $1))
        }
        var product = Matrix(uninitializedRows: member.outFeatures, columns: member.inFeatures)
        multiply(MatrixOperand(a), MatrixOperand(b), into: product.mutableView())
        let length = sumOfSquares(MatrixOperand(product))
        let wanted = sumOfSquares(MatrixOperand(subject.reconstruct()))
        // Half of the scale for each factor.
        let scale = length > 0 ? Float((wanted / length).squareRoot().squareRoot()) : 0
        return Self.factors(member, rank: rank, solver: "noise") { part, place in
            scale * (part == .left ? a[place.row, place.column] : b[place.row, place.column])
        }
    }

    private enum Part { case left, right }

    private static func factors(
        _ member: GroupMember, rank: Int, solver: String, _ entry: (Part, (row: Int, column: Int)) -> Float
    ) -> CompressionOutcome {
        let a = Matrix(rows: member.outFeatures, columns: rank) { entry(.left, ($0, $1)) }
        let b = Matrix(rows: rank, columns: member.inFeatures) { entry(.right, ($0, $1)) }
        let form = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: member.factorType)
        return .compressed(form, CompressionEvidence(solver: solver))
    }

    /// FNV-1a of the name: every module has numbers of its own.
    private static func stream(_ name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// The control with both errors in the metric of the objective, for the report.
    private func described(
        _ outcome: CompressionOutcome, _ task: CompressionTask, _ subject: any LinearOperator
    ) -> CompressionOutcome {
        guard case .compressed(let found, var evidence) = outcome else { return outcome }
        evidence.details["control"] = JSON(kind.rawValue)
        evidence.details["control_error"] = JSON(task.objective.relativeError(of: found))
        evidence.details["method_error"] = JSON(task.objective.relativeError(of: subject))
        evidence.details["method_parameters"] = JSON(subject.parameters)
        return .compressed(found, evidence)
    }
}

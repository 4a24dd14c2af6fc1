import CompressionCore
import MatrixCore

/// The tensors of an adapter, and what they add to.
///
/// A layer has A (r × in) and B (out × r). A stack of E experts has, by PEFT, one rank r for all its slices: A
/// (E·r × in), expert by expert, and B (out × r·E), in whose rows the E numbers of a component stand together. Slices
/// of a lower rank have zeros behind theirs. Gate and up, whose rows share a slice, have their A's one below the other
/// and their B's on a block diagonal, so r is at most the sum of their ranks. Nothing is approximated by this.
///
/// - Source: `ParamWrapper` of PEFT 0.21, `target_parameters`.
struct AdapterContent {
    /// In the order of the file's making.
    private(set) var tensors: [(name: String, tensor: StoredTensor)] = []
    /// Layers and parameters with their ranks, by the names that PEFT matches.
    private(set) var layers: [(name: String, rank: Int)] = []
    private(set) var parameters: [(name: String, rank: Int)] = []

    private var stacks: [ExpertStack] = []
    private var parts: [ExpertStack: [Part]] = [:]

    /// The difference of some rows of an expert's slice.
    private struct Part {
        let expert: Int
        let firstRow: Int
        let difference: LowRankDifference
    }

    mutating func add(_ difference: LowRankDifference, to target: AdapterTarget) {
        switch target {
        case .layer(let module):
            add(a: difference.a, b: difference.b, under: module)
            layers.append((module, difference.rank))
        case .weight(let module):
            add(a: difference.a, b: difference.b, under: module)
            parameters.append(("\(module).weight", difference.rank))
        case .expert(let stack, let expert, let firstRow):
            if parts[stack] == nil { stacks.append(stack) }
            parts[stack, default: []].append(Part(expert: expert, firstRow: firstRow, difference: difference))
        }
    }

    /// Puts the stacks together, once everything is added.
    mutating func finish(experts: Int) {
        for stack in stacks {
            guard let parts = parts[stack], let type = parts.first?.difference.a.dtype.elementType else { continue }
            let ranks = parts.reduce(into: [Int](repeating: 0, count: experts)) { $0[$1.expert] += $1.difference.rank }
            let rank = ranks.max() ?? 0
            let (a, b) = Self.factors(of: parts, rank: rank, experts: experts, rows: stack.rows)
            // PEFT wraps the module once for each parameter, in the order in which it declares them.
            let other = ExpertStack.Parameter.down
            let isInner = stack.parameter == .gateUp
                && stacks.contains { $0.module == stack.module && $0.parameter == other }
            add(
                a: StoredTensor(MatrixOperand(a), as: type), b: StoredTensor(MatrixOperand(b), as: type),
                under: stack.module + (isInner ? ".base_layer" : ""))
            parameters.append((stack.name, rank))
        }
        stacks = []
        parts = [:]
    }

    private mutating func add(a: StoredTensor, b: StoredTensor, under module: String) {
        let names = AdapterConfig.tensorNames(of: module)
        tensors += [(names.a, a), (names.b, b)]
    }

    /// A (E·r × in) and B (rows × r·E) of a stack.
    private static func factors(
        of parts: [Part], rank: Int, experts: Int, rows: Int
    ) -> (a: Matrix, b: Matrix) {
        var a = Matrix(rows: experts * rank, columns: parts[0].difference.a.shape[1])
        var b = Matrix(rows: rows, columns: rank * experts)
        var used = [Int](repeating: 0, count: experts)
        for part in parts {
            guard let left = part.difference.b.operand(), let right = part.difference.a.operand() else { continue }
            let first = used[part.expert]
            for component in 0..<part.difference.rank {
                let row = part.expert * rank + first + component
                for column in 0..<right.columns { a[row, column] = Float(right[component, column]) }
                let column = (first + component) * experts + part.expert
                for row in 0..<left.rows { b[part.firstRow + row, column] = Float(left[row, component]) }
            }
            used[part.expert] += part.difference.rank
        }
        return (a, b)
    }
}

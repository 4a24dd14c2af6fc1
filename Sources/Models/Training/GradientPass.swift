import Kernels
import MatrixCore

/// Goes through a model with a sequence, and back from its loss, and shows what reaches the outputs of the linear
/// layers on the way.
///
/// The loss is −Σ log p(next token) over the tokens of the sequence. Its gradients g, one for every token and layer,
/// say what a small error e of the outputs costs: the mean of (g · e)² is twice the divergence of the predictions, as
/// far as the tokens of the text are distributed as the model predicts them. An encoder has no predictions: there the
/// loss is the sum of all numbers behind the final norm with random signs, and the mean of (g · e)² is the squared
/// error of these numbers.
///
/// - Cost: a forward pass, and a backward pass of twice the cost of one. Memory: what all layers need for the way back;
///   where that is much, of one layer and the hidden states between all, for a second forward pass.
/// - Source: the second moments of g are one of the two factors of K-FAC (Martens and Grosse, arXiv 1503.05671), with
///   the tokens of the text in place of sampled ones, so that the sums depend on nothing but the text.
public struct GradientPass {
    private let model: Model
    private let state: SequenceState
    /// Of what layers need for the way back, at most.
    private static let keptBytes = 1 << 28
    private let weights: TrainingWeights

    /// - Parameter observer: told of the gradients towards the outputs of each layer (tokens × m).
    public init(_ model: Model, observer: @escaping (_ module: String, _ gradients: MatrixView<Float>) -> Void) {
        self.model = model
        state = model.makeState(.onePass)
        weights = TrainingWeights(training: [])
        weights.gradientObserver = observer
    }

    /// - Parameter tokens: read from the first on.
    /// - Throws: as the forward pass.
    public func run(_ tokens: [Int32]) throws(ModelError) {
        let batch = TokenBatch(lengths: [tokens.count])
        let positions = model.positions(of: batch)
        let keepsTapes = tokens.count * model.tapeNumbersPerToken * 4 <= Self.keptBytes
        var inputs = [Matrix(try model.embeddings(of: tokens, state).readable)]
        var tapes: [BlockTape] = []
        for layer in 0..<model.description.layers {
            let tape = try model.forward(layer: layer, inputs[layer], batch, positions, weights)
            inputs.append(tape.output)
            if keepsTapes { tapes.append(tape) }
        }
        guard let output = inputs.popLast() else { return }
        var gradient = try outputGradient(output, tokens)
        for layer in (0..<model.description.layers).reversed() {
            guard let input = inputs.popLast() else { return }
            let tape: BlockTape
            if let kept = tapes.popLast() {
                tape = kept
            } else {
                tape = try model.forward(layer: layer, input, batch, positions, weights)
            }
            gradient = tape.pullBack(gradient.view, weights)
        }
    }

    // MARK: The loss

    /// Towards the output of the last block (tokens × hidden).
    private func outputGradient(_ x: Matrix, _ tokens: [Int32]) throws(ModelError) -> Matrix {
        guard let head = model.head else { return pulledBack(x, Self.signs(tokens, x.columns).view) }
        var result = Matrix(rows: x.rows, columns: x.columns)
        // The last token has none to predict.
        for first in stride(from: 0, to: tokens.count - 1, by: model.rowsOfLogitsAtOnce) {
            let rows = first..<min(first + model.rowsOfLogitsAtOnce, tokens.count - 1)
            let own = Matrix(x.view.rows(rows))
            let normalised = model.finalNorm?.normalised(own) ?? own
            var logits = weights.apply(head, normalised.view)
            if firstNonFinite(MatrixOperand(logits)) != nil { throw .nonFinite(place: "the head") }
            NextTokenLoss.pullBack(
                logits.mutableView(), next: Array(tokens[rows.lowerBound + 1..<rows.upperBound + 1]))
            var slope = Matrix(uninitializedRows: rows.count, columns: x.columns)
            multiply(MatrixOperand(logits), weights.weight(of: head), into: slope.mutableView())
            convert(
                MatrixOperand(pulledBack(own, slope.view)),
                into: MutableMatrixOperand(result.mutableView().rows(rows)))
        }
        return result
    }

    /// Through the final norm.
    private func pulledBack(_ x: Matrix, _ gradient: MatrixView<Float>) -> Matrix {
        model.finalNorm?.pulledBack(input: x, gradient: gradient) ?? Matrix(gradient)
    }

    /// ±1 for every number, from the tokens alone, so that a text gives the same sums in whatever parts it comes.
    private static func signs(_ tokens: [Int32], _ columns: Int) -> Matrix {
        let seed = tokens.reduce(UInt64(tokens.count)) { ($0 ^ UInt64(UInt32(bitPattern: $1))) &* 0x100_0000_01b3 }
        let random = CounterRandom(seed: seed).normalMatrix(rows: tokens.count, columns: columns) as Matrix
        return Matrix(rows: tokens.count, columns: columns) { random[$0, $1] < 0 ? -1 : 1 }
    }
}

/// −log p(next token), with p = softmax(logits).
enum NextTokenLoss {
    /// logits ← ∂(−log p(next))/∂logits = p, less 1 at the next token; a row for each token.
    static func pullBack(_ logits: MutableMatrixView<Float>, next: [Int32]) {
        precondition(next.count == logits.rows, "a next token for each row")
        let sums = TokenLosses.logSumsOfExponentials(logits.readable)
        forEachRowBlock(logits.rows, columns: logits.columns * 8) { rows in
            for row in rows {
                let p = logits.base + row * logits.rowStride
                let shift = Float(sums[row])
                VectorMath.map(p, logits.columns) { VectorMath.exponential($0 - shift) }
                p[Int(next[row])] -= 1
            }
        }
    }
}

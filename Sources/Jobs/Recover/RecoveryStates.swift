import MatrixCore
import Models

/// All sequences on their way through the dense and the compressed network, block by block.
///
/// Hidden states are in files, of one block at a time, so memory is that of one sequence. A run that goes on behind an
/// earlier one computes them again.
final class RecoveryStates {
    private let text: RecoveryText
    private let dense: Model
    private let journal: Journal
    private let hidden: Int
    private var layer = 0
    /// What the block that comes next reads in the two networks, and what the dense one makes of it.
    private var denseInput: HiddenStates
    private(set) var input: HiddenStates
    private(set) var target: HiddenStates?

    init(_ text: RecoveryText, _ dense: Model, _ journal: Journal, _ interruption: Interruption) throws {
        self.text = text
        self.dense = dense
        self.journal = journal
        hidden = dense.description.hidden
        let path = journal.dataPath(of: "hidden-embedded", ".safetensors")
        let writer = try HiddenStates.Writer(path: path, tokens: text.tokens, hidden: hidden)
        let state = dense.makeState(.onePass)
        for tokens in text.sequences {
            try interruption.check()
            try writer.append(try dense.embeddings(of: tokens, state).readable)
        }
        try writer.finish()
        denseInput = try HiddenStates(path: path, hidden: hidden)
        input = denseInput
    }

    /// Takes the dense network through the next block.
    func computeTarget(_ interruption: Interruption) throws {
        target = try pass(dense, denseInput, "dense", interruption)
    }

    /// Takes the compressed network through the block, and goes on to the next.
    func advance(_ network: Model, _ interruption: Interruption) throws {
        let output = try pass(network, input, "compressed", interruption)
        if let target { denseInput = target }
        input = output
        target = nil
        if layer > 0 {
            for network in ["dense", "compressed"] { try FileSystem.removeTree(path(network, layer - 1)) }
        }
        layer += 1
    }

    /// Sums over what both networks give to the inputs of the block.
    func forEachPair(
        _ interruption: Interruption, _ body: (_ dense: Matrix, _ compressed: Matrix) throws -> Void
    ) throws {
        for number in text.training {
            try interruption.check()
            try body(
                try text.rows(of: [number], in: denseInput, hidden: hidden),
                try text.rows(of: [number], in: input, hidden: hidden))
        }
    }

    private func pass(
        _ model: Model, _ source: HiddenStates, _ network: String, _ interruption: Interruption
    ) throws -> HiddenStates {
        let writer = try HiddenStates.Writer(path: path(network, layer), tokens: text.tokens, hidden: hidden)
        let state = model.makeState(.onePass)
        for number in text.sequences.indices {
            try interruption.check()
            var x = try text.rows(of: [number], in: source, hidden: hidden)
            try model.apply(layer: layer, to: x.mutableView(), state)
            try writer.append(x.view)
        }
        try writer.finish()
        return try HiddenStates(path: path(network, layer), hidden: hidden)
    }

    private func path(_ network: String, _ layer: Int) -> String {
        journal.dataPath(of: "hidden-\(network)-\(layer)", ".safetensors")
    }
}

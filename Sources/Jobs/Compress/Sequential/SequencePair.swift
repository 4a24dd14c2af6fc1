import MatrixCore
import Models
import Safetensors
import Statistics

/// All sequences on their way through two networks, the dense one and the one that is being compressed, layer by layer.
///
/// Hidden states between layers are in files, so memory is that of one sequence; a run that goes on behind an earlier
/// one computes them again.
final class SequencePair {
    private let sequences: [[Int32]]
    private let journal: Journal
    private let dense: Model
    /// States before the layer that comes next; nil before the first.
    private var states: (dense: PassingStates, compressed: PassingStates)?
    /// States of the dense network behind that layer, where a step has left them.
    private var denseNext: PassingStates?

    init(_ sequences: [[Int32]], _ dense: Model, _ journal: Journal) {
        self.sequences = sequences
        self.dense = dense
        self.journal = journal
    }

    /// Sums over what both networks give to some inputs of a layer.
    ///
    /// Both are run only as far as these inputs; the dense one through the layer where it is the last step before the
    /// next, which then need not do it. Tokens that a router divides go the ways of the compressed network in both: an
    /// expert is fitted to what it would give for those that it will really read.
    ///
    /// - Parameters:
    ///   - compressed: the network as far as it is compressed.
    ///   - isLastStep: only where no router divides the tokens of the layer, which in the dense network have ways of
    ///     their own.
    func moments(
        of inputs: [LayerInput], layer: Int, _ compressed: Model, isLastStep: Bool, _ interruption: Interruption
    ) throws -> [LayerInput: PairedMoments] {
        let longest = sequences.map(\.count).max() ?? 0
        let sums = Dictionary(uniqueKeysWithValues: inputs.map { ($0, PairedMoments(features: $0.features)) })
        let seen = InputCopies(inputs, tokens: longest)
        let copies = (InputCopies(inputs, tokens: longest, following: seen), seen)
        let runs = (dense.makeState(.onePass), compressed.makeState(.onePass))
        runs.0.observer = copies.0
        runs.1.observer = copies.1
        let next = try isLastStep ? PassingStates(in: journal, hidden: hidden) : nil
        try forEachSequence(interruption) { tokens, place, x in
            copies.0.restart(tokens: tokens.count)
            copies.1.restart(tokens: tokens.count)
            try load(tokens, place, states?.compressed, into: x, runs.1)
            compressed.observe(layer: layer, of: x, runs.1)
            try load(tokens, place, states?.dense, into: x, runs.0)
            if let next {
                try dense.apply(layer: layer, to: x, runs.0)
                try next.append(x.readable)
            } else {
                dense.observe(layer: layer, of: x, runs.0)
            }
            for (input, sum) in sums {
                sum.add(copies.0.tokens(of: input), copies.1.tokens(of: input))
                if let residual = copies.0.residual(of: input), let seen = copies.1.residual(of: input) {
                    sum.addResiduals(residual, seen, at: copies.0.tokens(of: input), copies.1.tokens(of: input))
                }
            }
        }
        if let next { denseNext = next }
        return sums
    }

    /// Takes both networks through a layer.
    func advance(through layer: Int, _ compressed: Model, _ interruption: Interruption) throws {
        let next = try (
            denseNext ?? pass(layer, dense, states?.dense, interruption),
            pass(layer, compressed, states?.compressed, interruption)
        )
        states = next
        denseNext = nil
    }

    private func pass(
        _ layer: Int, _ model: Model, _ source: PassingStates?, _ interruption: Interruption
    ) throws -> PassingStates {
        let target = try PassingStates(in: journal, hidden: hidden)
        let state = model.makeState(.onePass)
        try forEachSequence(interruption) { tokens, place, x in
            try load(tokens, place, source, into: x, state)
            try model.apply(layer: layer, to: x, state)
            try target.append(x.readable)
        }
        return target
    }

    private var hidden: Int { dense.description.hidden }

    /// - Parameter body: given the tokens, their place among all, and memory for their hidden states.
    private func forEachSequence(
        _ interruption: Interruption, _ body: ([Int32], Range<Int>, MutableMatrixView<Float>) throws -> Void
    ) throws {
        var buffer = Matrix(
            uninitializedRows: sequences.map(\.count).max() ?? 0, columns: dense.description.hidden)
        var start = 0
        for tokens in sequences {
            try interruption.check()
            try body(tokens, start..<start + tokens.count, buffer.mutableView().rows(0..<tokens.count))
            start += tokens.count
        }
    }

    private func load(
        _ tokens: [Int32], _ place: Range<Int>, _ source: PassingStates?, into x: MutableMatrixView<Float>,
        _ state: SequenceState
    ) throws {
        if let source { return try source.read(place, into: x) }
        let embedded = try dense.embeddings(of: tokens, state)
        for row in 0..<x.rows {
            (x.base + row * x.rowStride).update(from: embedded.base + row * embedded.rowStride, count: x.columns)
        }
    }
}

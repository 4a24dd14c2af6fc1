import CommandLineKit
import MatrixCore
import Models

/// Epochs of gradient descent with a held-out loss after each: the numbers of the best epoch are kept, and the loop
/// ends early where several epochs bring nothing.
///
/// The state between epochs is a value, so that it can be written down and gone on from.
struct TrainingLoop {
    /// Everything that the next epoch depends on.
    struct State {
        var tensors: [String: Matrix]
        var optimizer: AdamOptimizer
        var best: [String: Matrix]
        /// Held-out losses: before the first epoch, then after each.
        var losses: [Double]
        /// Steps taken so far are all that schedule and order need beside this.
        var epoch: Int { losses.count - 1 }

        var bestLoss: Double { losses.min() ?? 0 }
        /// Last epochs without a lower loss than the epoch before. A rise at the first, large steps is made up for by
        /// later ones, so the best loss so far says little.
        var idle: Int {
            let falls = zip(losses, losses.dropFirst()).map { $1 < $0 }
            return falls.reversed().prefix { !$0 }.count
        }
    }

    let text: RecoveryText
    let settings: TrainingSettings
    let epochs: Int
    /// Largest, of the steps of all epochs.
    let rate: Double
    /// Named in progress.
    let title: String
    /// Loss of a batch, per token, and its gradients.
    let gradient: (TrainedLayers, [Int]) throws -> (loss: Double, gradients: [String: Matrix])
    /// Held-out loss.
    let evaluate: (TrainedLayers) throws -> Double

    /// - Parameters:
    ///   - layers: what is trained; ends with the best numbers.
    ///   - earlier: where an interrupted loop was.
    ///   - save: told of the state after every epoch.
    /// - Returns: held-out losses, before and after each epoch.
    func run(
        _ layers: inout TrainedLayers, from earlier: State? = nil, _ progress: any ProgressReporter,
        _ interruption: Interruption, save: (State) throws -> Void = { _ in }
    ) throws -> [Double] {
        var state = try earlier ?? start(layers)
        try layers.set(state.tensors)
        while state.epoch < epochs, state.idle < settings.patience {
            try runEpoch(&state, &layers, progress, interruption)
            try save(state)
        }
        try layers.set(state.best)
        return state.losses
    }

    private func start(_ layers: TrainedLayers) throws -> State {
        State(
            tensors: layers.tensors, optimizer: AdamOptimizer(for: layers.tensors), best: layers.tensors,
            losses: [try evaluate(layers)])
    }

    private func runEpoch(
        _ state: inout State, _ layers: inout TrainedLayers, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        let epoch = state.epoch
        let batches = text.batches(epoch: epoch, seed: settings.seed, tokensPerStep: settings.tokensPerStep)
        let schedule = RateSchedule(peak: Float(rate), steps: epochs * batches.count)
        for (index, batch) in batches.enumerated() {
            try interruption.check()
            let (loss, gradients) = try gradient(layers, batch)
            // Batches of an epoch differ in number by their order; the schedule is by epochs.
            try layers.step(&state.optimizer, gradients, rate: schedule.rate(at: epoch * batches.count + index))
            progress.advance(by: batch.count, "\(title), epoch \(epoch + 1), loss \(Quantity.significant(loss, 4))")
        }
        state.tensors = layers.tensors
        let loss = try evaluate(layers)
        guard loss.isFinite else {
            throw JobError.numericFailure("\(title): the held-out loss is not finite; try a smaller --rate")
        }
        if loss < state.bestLoss { state.best = layers.tensors }
        state.losses.append(loss)
    }
}

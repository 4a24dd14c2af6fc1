import CommandLineKit
import Foundation
import MatrixCore
import Models

/// Epochs of gradient descent with a held-out loss after each: the numbers of the best epoch are kept, and the loop
/// ends early where several epochs bring nothing.
///
/// The rate is in units of the root of the first loss: losses are squares of distances, or, as divergences, near to it,
/// so a network that is nearly right takes small steps. An epoch that leaves it worse than it was at first has
/// diverged: the next one starts from the best numbers at half of the rate.
///
/// The state between epochs is a value, so that it can be written down and gone on from.
struct TrainingLoop {
    /// Everything that the next epoch depends on.
    struct State {
        var tensors: [String: Matrix]
        var optimizer: AdamOptimizer
        var best: [String: Matrix]
        /// Held-out losses: before the first epoch, then after each; infinite where numbers were no longer finite.
        var losses: [Double]
        /// Steps taken so far are all that schedule and order need beside this.
        var epoch: Int { losses.count - 1 }

        var bestLoss: Double { losses.min() ?? 0 }
        /// Last epochs without a lower loss than the epoch before. A rise at the first, large steps is made up for by
        /// later ones, so the best loss so far says little.
        var idle: Int {
            let falls = zip(losses, losses.dropFirst()).map { $1 < $0 || !$1.isFinite }
            return falls.reversed().prefix { !$0 }.count
        }
        /// Epochs that ended worse than it all began.
        var divergences: Int { losses.count { !($0 <= losses[0]) } }
    }

    let text: RecoveryText
    let settings: TrainingSettings
    let epochs: Int
    /// Largest, of the steps of all epochs, at a first loss of 1 or more.
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
        let loss = try evaluate(layers)
        guard loss.isFinite else { throw JobError.numericFailure("\(title): the held-out loss is not finite") }
        return State(
            tensors: layers.tensors, optimizer: AdamOptimizer(for: layers.tensors), best: layers.tensors,
            losses: [loss])
    }

    private func runEpoch(
        _ state: inout State, _ layers: inout TrainedLayers, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        let loss = try trained(&state, &layers, progress, interruption)
        if loss < state.bestLoss { state.best = layers.tensors }
        state.losses.append(loss)
        if loss <= state.losses[0] {
            state.tensors = layers.tensors
            return
        }
        progress.log(.notice, "\(title): epoch \(state.epoch) diverged; going on from the best at half of the rate")
        state.tensors = state.best
        state.optimizer = AdamOptimizer(for: state.best)
        try layers.set(state.best)
    }

    /// Takes the steps of an epoch.
    /// - Returns: the held-out loss, infinite where numbers were no longer finite.
    private func trained(
        _ state: inout State, _ layers: inout TrainedLayers, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws -> Double {
        let epoch = state.epoch
        let batches = text.batches(epoch: epoch, seed: settings.seed, tokensPerStep: settings.tokensPerStep)
        let schedule = RateSchedule(peak: Float(peak(state)), steps: epochs * batches.count)
        do {
            for (index, batch) in batches.enumerated() {
                try interruption.check()
                let (loss, gradients) = try gradient(layers, batch)
                // Batches of an epoch differ in number by their order; the schedule is by epochs.
                let rate = schedule.rate(at: epoch * batches.count + index)
                try layers.step(&state.optimizer, gradients, rate: rate)
                progress.advance(by: batch.count, "\(title), epoch \(epoch + 1), loss \(Quantity.significant(loss, 4))")
            }
            let loss = try evaluate(layers)
            return loss.isFinite ? loss : .infinity
        } catch ModelError.nonFinite(place: _) {
            return .infinity
        }
    }

    private func peak(_ state: State) -> Double {
        rate * min(1, state.losses[0].squareRoot()) * pow(0.5, Double(state.divergences))
    }
}

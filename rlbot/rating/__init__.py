"""Measure how good a bot is: matches, statistics, Bradley-Terry ratings, the rater beside a run, tournaments."""
